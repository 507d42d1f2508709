/* From a frame to the fields of its flow. */
const bit<16> TYPE_IPV4 = 0x0800;
const bit<16> TYPE_ARP = 0x0806;
const bit<16> TYPE_IPV6 = 0x86dd;
const bit<16> TYPE_VLAN = 0x8100;
const bit<16> TYPE_QINQ = 0x88a8;
const bit<16> TYPE_QINQ_OLD = 0x9100;
const bit<8> PROTO_ICMP = 1;
const bit<8> PROTO_TCP = 6;
const bit<8> PROTO_UDP = 17;
const bit<8> PROTO_ICMPV6 = 58;
const bit<8> PROTO_SCTP = 132;
const bit<8> NO_RULE = 255;

/* What a direction has shown: bits of its flags. */
const bit<8> HALF_ACK_DUE = 2;
const bit<8> HALF_FIN = 4;
const bit<8> HALF_SEQ = 8;
const bit<8> HALF_FIN_ACK_DUE = 32;

header ethernet_t {
  bit<48> destination;
  bit<48> source;
  bit<16> ether_type;
}
header tag_t {
  bit<4> pcp;
  bit<12> id;
  bit<16> ether_type;
}
header ipv4_t {
  bit<4> version;
  bit<4> ihl;
  bit<8> tos;
  bit<16> total;
  bit<16> id;
  bit<2> reserved;
  bit<1> more;
  bit<13> offset;
  bit<8> ttl;
  bit<8> proto;
  bit<16> checksum;
  bit<32> source;
  bit<32> destination;
}
header ipv4_options_t {
  varbit<320> bytes;
}
header ipv6_t {
  bit<4> version;
  bit<28> label;
  bit<16> payload;
  bit<8> proto;
  bit<8> hops;
  bit<128> source;
  bit<128> destination;
}
header tcp_t {
  bit<16> source;
  bit<16> destination;
  bit<32> seq;
  bit<32> ack;
  bit<4> offset;
  bit<4> reserved;
  bit<2> ecn;
  bit<1> urg;
  bit<1> ackflag;
  bit<1> psh;
  bit<1> rst;
  bit<1> syn;
  bit<1> fin;
  bit<16> window;
  bit<16> checksum;
  bit<16> urgent;
}
header ports_t {
  bit<16> source;
  bit<16> destination;
  bit<32> rest;
}
header icmp_t {
  bit<8> kind;
  bit<8> code;
  bit<16> checksum;
  bit<16> id;
  bit<16> sequence;
}
struct headers_t {
  ethernet_t ethernet;
  tag_t[4] tag;
  ipv4_t ipv4;
  ipv4_options_t options;
  ipv6_t ipv6;
  tcp_t tcp;
  ports_t ports;
  icmp_t icmp;
}
struct metadata_t {
  bit<1> outside;
  bit<1> side;
  bit<1> neighbour;
  bit<1> fragment;
  bit<1> flow;
  bit<1> ipv6;
  bit<1> dir;
  bit<8> proto;
  bit<12> vlan;
  bit<128> source;
  bit<128> destination;
  bit<16> source_port;
  bit<16> destination_port;
  bit<32> payload;
  bit<8> rule;
}

parser filter_parser(packet_in packet, out headers_t hdr, inout metadata_t meta,
                     inout standard_metadata_t standard_metadata) {
  state start {
    packet.extract(hdr.ethernet);
    transition select(hdr.ethernet.ether_type) {
      TYPE_VLAN: parse_tag;
      TYPE_QINQ: parse_tag;
      TYPE_QINQ_OLD: parse_tag;
      TYPE_IPV4: parse_ipv4;
      TYPE_IPV6: parse_ipv6;
      TYPE_ARP: parse_neighbour;
      default: accept;
    }
  }
  state parse_tag {
    packet.extract(hdr.tag.next);
    meta.vlan = hdr.tag.last.id;
    transition select(hdr.tag.last.ether_type) {
      TYPE_VLAN: parse_tag;
      TYPE_QINQ: parse_tag;
      TYPE_QINQ_OLD: parse_tag;
      TYPE_IPV4: parse_ipv4;
      TYPE_IPV6: parse_ipv6;
      TYPE_ARP: parse_neighbour;
      default: accept;
    }
  }
  state parse_neighbour {
    meta.neighbour = 1;
    transition accept;
  }
  state parse_ipv4 {
    packet.extract(hdr.ipv4);
    verify(hdr.ipv4.version == 4 && hdr.ipv4.ihl >= 5, error.HeaderTooShort);
    packet.extract(hdr.options, (bit<32>)(hdr.ipv4.ihl - 5) * 32);
    meta.proto = hdr.ipv4.proto;
    meta.source = 96w0xffff ++ hdr.ipv4.source;
    meta.destination = 96w0xffff ++ hdr.ipv4.destination;
    meta.payload = (bit<32>)hdr.ipv4.total - ((bit<32>)hdr.ipv4.ihl << 2);
    transition select(hdr.ipv4.more, hdr.ipv4.offset) {
      (0, 0): parse_transport;
      default: parse_fragment;
    }
  }
  state parse_fragment {
    meta.fragment = 1;
    transition accept;
  }
  state parse_ipv6 {
    packet.extract(hdr.ipv6);
    verify(hdr.ipv6.version == 6, error.HeaderTooShort);
    meta.ipv6 = 1;
    meta.proto = hdr.ipv6.proto;
    meta.source = hdr.ipv6.source;
    meta.destination = hdr.ipv6.destination;
    meta.payload = (bit<32>)hdr.ipv6.payload;
    transition select(hdr.ipv6.proto) {
      44: parse_fragment;
      default: parse_transport;
    }
  }
  state parse_transport {
    transition select(meta.ipv6, meta.proto) {
      (_, PROTO_TCP): parse_tcp;
      (_, PROTO_UDP): parse_ports;
      (_, PROTO_SCTP): parse_ports;
      (0, PROTO_ICMP): parse_icmp;
      (1, PROTO_ICMPV6): parse_icmp;
      default: parse_other;
    }
  }
  state parse_other {
    meta.flow = 1;
    transition accept;
  }
  state parse_tcp {
    packet.extract(hdr.tcp);
    verify(hdr.tcp.offset >= 5, error.HeaderTooShort);
    meta.source_port = hdr.tcp.source;
    meta.destination_port = hdr.tcp.destination;
    meta.payload = meta.payload - ((bit<32>)hdr.tcp.offset << 2);
    meta.flow = 1;
    transition accept;
  }
  state parse_ports {
    packet.extract(hdr.ports);
    meta.source_port = hdr.ports.source;
    meta.destination_port = hdr.ports.destination;
    meta.flow = 1;
    transition select(meta.proto) {
      PROTO_UDP: end_udp;
      default: end_sctp;
    }
  }
  state end_udp {
    meta.payload = meta.payload - 8;
    transition accept;
  }
  state end_sctp {
    meta.payload = meta.payload - 12;
    transition accept;
  }
  state parse_icmp {
    packet.extract(hdr.icmp);
    meta.payload = meta.payload - 8;
    meta.flow = 1;
    transition select(meta.ipv6, hdr.icmp.kind) {
      (0, 0): parse_echo;
      (0, 8): parse_echo;
      (1, 128): parse_echo;
      (1, 129): parse_echo;
      (1, 133): parse_discovery;
      (1, 134): parse_discovery;
      (1, 135): parse_discovery;
      (1, 136): parse_discovery;
      (1, 137): parse_discovery;
      default: accept;
    }
  }
  state parse_echo {
    meta.source_port = hdr.icmp.id;
    meta.destination_port = hdr.icmp.id;
    transition accept;
  }
  state parse_discovery {
    meta.flow = 0;
    meta.neighbour = 1;
    transition accept;
  }
}

control filter_verify(inout headers_t hdr, inout metadata_t meta) {
  apply { }
}
control filter_compute(inout headers_t hdr, inout metadata_t meta) {
  apply { }
}
control filter_egress(inout headers_t hdr, inout metadata_t meta,
                      inout standard_metadata_t standard_metadata) {
  apply { }
}
