/* Decide and remember; the numbered steps are those of rm_decide() in filter.h. */
control filter_ingress(inout headers_t hdr, inout metadata_t meta,
                       inout standard_metadata_t standard_metadata) {
  register<bit<32>>(SLOTS) signatures;
  register<bit<8>>(SLOTS) rules;
  register<bit<8>>(SLOTS) resets;
  register<bit<48>>(SLOTS) firsts;
  register<bit<48>>(SLOTS) lasts;
  register<bit<32>>(HALVES) packets;
  register<bit<32>>(HALVES) payload_packets;
  register<bit<64>>(HALVES) payload_bytes;
  register<bit<48>>(HALVES) mirrored;
  register<bit<32>>(HALVES) nexts;
  register<bit<8>>(HALVES) flags;

  action drop() {
    mark_to_drop(standard_metadata);
  }
  /* outside: frames of this port are decided upon; else they come out of the box and only update flows. */
  action wire(bit<9> port, bit<1> outside, bit<1> side) {
    standard_metadata.egress_spec = port;
    meta.outside = outside;
    meta.side = side;
  }
  table wiring {
    key = { standard_metadata.ingress_port: exact; }
    actions = { wire; drop; }
    default_action = drop();
    size = 16;
  }

  apply {
    bit<1> copied = 0;
    wiring.apply();
    if (meta.neighbour == 1) {
      copied = meta.outside;
    } else if (meta.fragment == 1) {
      copied = meta.outside & MIRROR_ANY;
    } else if (meta.flow == 1 && standard_metadata.parser_error == error.NoError) {
      @atomic {
        bit<48> now = standard_metadata.ingress_global_timestamp;
        bit<1> tcp = 0;
        bit<1> syn = 0;
        bit<1> ackflag = 0;
        bit<1> fin = 0;
        bit<1> rst = 0;
        bit<32> end = 0;
        if (hdr.tcp.isValid()) {
          tcp = 1;
          syn = hdr.tcp.syn;
          ackflag = hdr.tcp.ackflag;
          fin = hdr.tcp.fin;
          rst = hdr.tcp.rst;
          end = hdr.tcp.seq + meta.payload + (bit<32>)syn + (bit<32>)fin;
        }

        /* The lower (address, port) end first, so that both directions meet in one place. */
        bit<128> low = meta.source;
        bit<128> high = meta.destination;
        bit<16> low_port = meta.source_port;
        bit<16> high_port = meta.destination_port;
        if (low > high || (low == high && low_port > high_port)) {
          meta.dir = 1;
          low = meta.destination;
          high = meta.source;
          low_port = meta.destination_port;
          high_port = meta.source_port;
        }
        bit<32> signature = 0;
        hash(signature, HashAlgorithm.crc32, 32w0,
             { low, high, low_port, high_port, meta.proto, meta.ipv6, meta.side, meta.vlan, 2w0 }, 32w0xffffffff);
        if (signature == 0) {
          signature = 1;
        }
        bit<32> slot = signature & (SLOTS - 1);
        bit<32> here = (slot << 1) | (bit<32>)meta.dir;
        bit<32> there = here ^ 1;

        bit<32> found;
        bit<8> rule;
        bit<8> reset;
        bit<48> first;
        bit<48> last;
        bit<8> own;
        bit<8> other;
        bit<32> count;
        bit<32> next;
        bit<32> payloads;
        bit<64> bytes;
        bit<48> since;
        signatures.read(found, slot);
        rules.read(rule, slot);
        resets.read(reset, slot);
        firsts.read(first, slot);
        lasts.read(last, slot);
        flags.read(own, here);
        flags.read(other, there);
        packets.read(count, here);
        nexts.read(next, here);
        payload_packets.read(payloads, here);
        payload_bytes.read(bytes, here);
        mirrored.read(since, here);

        /* Step 1: another flow took the place, this one is over, or a SYN opens another connection. */
        bit<48> limit = AGE_US_OTHER;
        bit<1> opening = 0;
        if (tcp == 1) {
          if (reset == 1 || (own & other & HALF_FIN) != 0) {
            limit = AGE_US_TCP_CLOSING;
          } else if ((own & other & HALF_SEQ) != 0) {
            limit = AGE_US_TCP;
          } else {
            limit = AGE_US_TCP_OPENING;
            opening = 1;
          }
        } else if (meta.proto == PROTO_UDP) {
          limit = AGE_US_UDP;
        } else if (meta.proto == PROTO_ICMP || meta.proto == PROTO_ICMPV6) {
          limit = AGE_US_ICMP;
        }
        bit<1> fresh = 0;
        if (found != signature || (limit != 0 && now > last && now - last >= limit)) {
          fresh = 1;
        } else if (syn == 1 && ackflag == 0 && (opening == 0 || (count != 0 && end != next))) {
          fresh = 1;
        }
        if (fresh == 1) {
          reset = 0;
          first = now;
          own = 0;
          other = 0;
          count = 0;
          next = 0;
          payloads = 0;
          bytes = 0;
          since = 0;
          packets.write(there, 0);
          nexts.write(there, 0);
          payload_packets.write(there, 0);
          payload_bytes.write(there, 0);
          mirrored.write(there, 0);
          signatures.write(slot, signature);
          firsts.write(slot, now);
          /* Step 2: the first rule that takes the flow's first packet. */
@CHOOSE@
          rules.write(slot, rule);
        }

        /* Step 3 */
        bit<1> handshake = 0;
        bit<1> teardown = 0;
        bit<1> all = 0;
        bit<32> first_packets = 0;
        bit<32> first_payload_packets = 0;
        bit<64> first_bytes = 0;
        bit<48> keepalive_us = 0;
@SETTINGS@
        bit<48> silent_since = since;
        if (since == 0) {
          silent_since = first;
        }
        if (meta.outside == 1) {
          if (all == 1) {
            copied = 1;
          } else if (handshake == 1 && tcp == 0 && count == 0) {
            copied = 1;
          } else if (handshake == 1 && syn == 1) {
            copied = 1;
          } else if (handshake == 1 && ackflag == 1 && rst == 0 && fin == 0 && (own & HALF_ACK_DUE) != 0) {
            copied = 1;
          } else if (teardown == 1 && (fin == 1 || rst == 1)) {
            copied = 1;
          } else if (teardown == 1 && ackflag == 1 && (own & HALF_FIN_ACK_DUE) != 0) {
            copied = 1;
          } else if (count < first_packets) {
            copied = 1;
          } else if (meta.payload > 0 && (payloads < first_payload_packets || bytes < first_bytes)) {
            copied = 1;
          } else if (keepalive_us != 0 && now > silent_since && now - silent_since >= keepalive_us) {
            copied = 1;
          }
        }

        /* Step 4 */
        if (tcp == 1) {
          if (count == 0 || (end != next && end - next < 0x80000000)) {
            next = end;
          }
          if (ackflag == 1) {
            own = own | HALF_SEQ;
            if (syn == 0) {
              own = own & ~(HALF_ACK_DUE | HALF_FIN_ACK_DUE);
            }
          }
          if (syn == 1 && ackflag == 0) {
            own = own | HALF_ACK_DUE;
          }
          if (fin == 1) {
            own = own | HALF_FIN;
            other = other | HALF_FIN_ACK_DUE;
          }
          if (rst == 1) {
            reset = 1;
          }
        }
        if (meta.payload > 0) {
          payload_packets.write(here, payloads + 1);
          payload_bytes.write(here, bytes + (bit<64>)meta.payload);
        } else if (fresh == 1) {
          payload_packets.write(here, 0);
          payload_bytes.write(here, 0);
        }
        if (copied == 1) {
          since = now;
        }
        packets.write(here, count + 1);
        nexts.write(here, next);
        mirrored.write(here, since);
        flags.write(here, own);
        flags.write(there, other);
        resets.write(slot, reset);
        lasts.write(slot, now);
      }
    }
    if (copied == 1) {
      clone(CloneType.I2E, MIRROR_SESSION);
    }
  }
}

control filter_deparser(packet_out packet, in headers_t hdr) {
  apply {
    packet.emit(hdr.ethernet);
    packet.emit(hdr.tag);
    packet.emit(hdr.ipv4);
    packet.emit(hdr.options);
    packet.emit(hdr.ipv6);
    packet.emit(hdr.tcp);
    packet.emit(hdr.ports);
    packet.emit(hdr.icmp);
  }
}

V1Switch(filter_parser(), filter_verify(), filter_ingress(), filter_egress(), filter_compute(),
         filter_deparser()) main;
