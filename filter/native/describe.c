/* The board's description of itself: name, place and shape of every field.
 *
 * It spares TypeScript from repeating offsets: a field is found by its name. A field that is not here cannot be read.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "board.h"

struct describe { struct rm_field *field; uint32_t n; };

static void add(struct describe *d, const char *name, size_t offset, size_t width, size_t n, size_t stride) {
  if (d->n == RM_FIELDS) abort(); /* the tests make a board */
  struct rm_field *f = &d->field[d->n++];
  snprintf(f->name, sizeof f->name, "%s", name);
  f->offset = (uint32_t)offset;
  f->width = (uint32_t)width;
  f->count = (uint32_t)n;
  f->stride = (uint32_t)stride;
}
#define WIDTH(type, member) sizeof(((type *)0)->member)
/* One scalar of a part of the board. */
#define ONE(part, member) \
  add(d, #part "." #member, offsetof(struct rm_board, part.member), WIDTH(struct rm_board, part.member), 1, 0)
/* An array of scalars inside a part. */
#define MANY(part, member, n) \
  add(d, #part "." #member, offsetof(struct rm_board, part.member), WIDTH(struct rm_board, part.member[0]), n, \
      WIDTH(struct rm_board, part.member[0]))
/* A member of an array of structures. */
#define EACH(label, array, member, n) \
  add(d, label "." #member, offsetof(struct rm_board, array[0].member), WIDTH(struct rm_board, array[0].member), n, \
      WIDTH(struct rm_board, array[0]))
#define FLOW(member) add(d, "flow." #member, offsetof(struct rm_flow, member), WIDTH(struct rm_flow, member), 1, 0)
#define FLOW_EACH(member, n) \
  add(d, "flow." #member, offsetof(struct rm_flow, member), WIDTH(struct rm_flow, member[0]), n, \
      WIDTH(struct rm_flow, member[0]))
#define HALF(member) \
  add(d, "flow.half." #member, offsetof(struct rm_flow, half[0].member), WIDTH(struct rm_flow, half[0].member), 2, \
      sizeof(struct rm_half))

static void describe_header(struct describe *d) {
  ONE(header, magic), ONE(header, abi), ONE(header, size), ONE(header, state), ONE(header, plane_pid);
  ONE(header, flow_bytes), ONE(header, boot), ONE(header, started_wall_ns), ONE(header, flow_slots);
  ONE(header, version), ONE(header, error);
  MANY(header, flow_offset, RM_SIDES);
  MANY(header, twin_offset, RM_SIDES);
  MANY(header, carried_offset, RM_SIDES);
  MANY(setup, spec, RM_ROLES);
  ONE(setup, flow_slots), ONE(setup, frame_bytes_max), ONE(setup, huge), ONE(setup, memory_mib);
  ONE(setup, core), ONE(setup, spin_us), ONE(setup, capture_room), ONE(setup, capture_bytes);
  ONE(setup, cores), ONE(setup, first_box), ONE(setup, recorder_room), ONE(setup, recorder_bytes);
}

static void describe_command(struct describe *d) {
  ONE(command, rule_generation), ONE(command, rule_count);
  MANY(command, age_ns, RM_AGES);
  add(d, "rule", offsetof(struct rm_board, command.rules), sizeof(struct rm_rule), RM_RULES, sizeof(struct rm_rule));
  EACH("rule", command.rules, name, RM_RULES);
  EACH("rule", command.rules, bpf_count, RM_RULES);
  EACH("rule", command.rules, handshake, RM_RULES);
  EACH("rule", command.rules, teardown, RM_RULES);
  EACH("rule", command.rules, all, RM_RULES);
  EACH("rule", command.rules, none, RM_RULES);
  EACH("rule", command.rules, seed, RM_RULES);
  EACH("rule", command.rules, first_packets, RM_RULES);
  EACH("rule", command.rules, first_payload_packets, RM_RULES);
  EACH("rule", command.rules, acks, RM_RULES);
  EACH("rule", command.rules, plaintext, RM_RULES);
  EACH("rule", command.rules, keepalive_window, RM_RULES);
  EACH("rule", command.rules, first_bytes_up, RM_RULES);
  EACH("rule", command.rules, first_bytes_down, RM_RULES);
  EACH("rule", command.rules, turn_bytes_up, RM_RULES);
  EACH("rule", command.rules, turn_bytes_down, RM_RULES);
  EACH("rule", command.rules, turn_bytes_max, RM_RULES);
  EACH("rule", command.rules, sample, RM_RULES);
  EACH("rule", command.rules, keepalive_ns, RM_RULES);
  EACH("rule", command.rules, bpf, RM_RULES);
  ONE(command, inner), ONE(command, budget_bytes), ONE(command, budget_packets);
  ONE(command, silence_ns), ONE(command, silence_packets), ONE(command, dead_path), ONE(command, hold_up_ns);
  ONE(command, drain_ns), ONE(command, stall_ns), ONE(command, automatic), ONE(command, order_path);
  ONE(command, order_sequence), ONE(command, stop), ONE(command, votes);
  MANY(command, weight, RM_DETECTORS);
  MANY(command, stale_ns, RM_DETECTORS);
  EACH("check", command.check, light, RM_BOXES);
  EACH("check", command.check, detail, RM_BOXES);
  EACH("check", command.check, seen_ns, RM_BOXES);
  ONE(command, inject_sequence), ONE(command, pause_ns);
  EACH("canary", command.canary, mac, RM_SIDES);
  EACH("canary", command.canary, until_ns, RM_SIDES);
  EACH("canary", command.canary, ip, RM_SIDES);
  EACH("inject", inject, role, RM_INJECTS);
  EACH("inject", inject, bytes, RM_INJECTS);
  EACH("inject", inject, frame, RM_INJECTS);
  ONE(command, left);
  MANY(command, rank, RM_BOXES);
  ONE(command, last_mask), ONE(command, order_force), ONE(command, last_ns);
  MANY(command, suppressed, RM_BOXES);
  ONE(command, silence_ns_min), ONE(command, silence_ns_max), ONE(command, silence_learn_ns);
  ONE(command, open_sequence);
  ONE(command, hold_ns), ONE(command, guard_ns), ONE(command, fixup), ONE(command, announce), ONE(command, propagate), ONE(command, bypass);
  ONE(command, recorder_rate);
}

static void describe_steer(struct describe *d) {
  ONE(steer, generation), ONE(steer, rule_count), ONE(steer, done);
  MANY(steer, over, RM_STEER_RULES);
  EACH("steer.rule", steer.rule, id, RM_STEER_RULES);
  EACH("steer.rule", steer.rule, fields, RM_STEER_RULES);
  EACH("steer.rule", steer.rule, box, RM_STEER_RULES);
  EACH("steer.move", steer.move, id, RM_STEER_MOVES);
  EACH("steer.move", steer.move, fields, RM_STEER_MOVES);
  EACH("steer.move", steer.move, again_fields, RM_STEER_MOVES);
#define MOVE(member) EACH("steer.move", steer.move, member, RM_STEER_MOVES)
  MOVE(number), MOVE(phase), MOVE(source), MOVE(destination), MOVE(free), MOVE(frames_max), MOVE(hold_order);
  MOVE(again_order), MOVE(again_frames), MOVE(hold_ns_max);
#define VIEW(member) EACH("steer.view", steer.view, member, RM_STEER_MOVES)
  VIEW(number), VIEW(state), VIEW(hold_done), VIEW(drained), VIEW(held), VIEW(noted), VIEW(held_all);
  VIEW(again_done), VIEW(again_played), VIEW(busy);
}

static void describe_port(struct describe *d) {
  EACH("port", live.port, rx_packets, RM_ROLES);
  EACH("port", live.port, rx_bytes, RM_ROLES);
  EACH("port", live.port, tx_packets, RM_ROLES);
  EACH("port", live.port, tx_bytes, RM_ROLES);
  EACH("port", live.port, tx_full, RM_ROLES);
  EACH("port", live.port, rx_missed, RM_ROLES);
  EACH("port", live.port, mirrored_packets, RM_ROLES);
  EACH("port", live.port, mirrored_bytes, RM_ROLES);
  EACH("port", live.port, link_changes, RM_ROLES);
  EACH("port", live.port, link_ns, RM_ROLES);
  EACH("port", live.port, link, RM_ROLES);
  EACH("port", live.port, mtu, RM_ROLES);
  EACH("port", live.port, mac, RM_ROLES);
  EACH("port", live.port, driver, RM_ROLES);
  EACH("port", live.port, taken, RM_ROLES);
}

#define CHANNEL(member) EACH("channel", live.channel, member, RM_ROLES)

static void describe_channel(struct describe *d) {
  CHANNEL(present), CHANNEL(open), CHANNEL(unit_bytes), CHANNEL(sessions), CHANNEL(rtt_ns), CHANNEL(sent), CHANNEL(again);
  CHANNEL(gone), CHANNEL(shed), CHANNEL(received), CHANNEL(asked), CHANNEL(recovered), CHANNEL(lost), CHANNEL(beyond);
  CHANNEL(repeated), CHANNEL(torn), CHANNEL(refused), CHANNEL(far_lost);
}

#define NAMED(label, array, n) EACH(label, array, name, n), EACH(label, array, packets, n), EACH(label, array, bytes, n)

static void describe_live(struct describe *d) {
  ONE(live, path), ONE(live, order_done), ONE(live, rule_done), ONE(live, poll), ONE(live, huge), ONE(live, draining);
  ONE(live, switches), ONE(live, turns), ONE(live, heartbeat_ns), ONE(live, loop_ns_max), ONE(live, cpu_ns);
  ONE(live, inject_done), ONE(live, path_since_ns), ONE(live, event_sequence), ONE(live, event_read);
  MANY(live, flows, RM_SIDES);
  EACH("box", live.box, alive, RM_BOXES);
  EACH("box", live.box, silent, RM_BOXES);
  EACH("box", live.box, down_ns, RM_BOXES);
  EACH("box", live.box, up_ns, RM_BOXES);
  EACH("box", live.box, in_packets, RM_BOXES);
  EACH("box", live.box, out_packets, RM_BOXES);
  EACH("box", live.box, present, RM_BOXES);
  EACH("box", live.box, member, RM_BOXES);
  EACH("detection", live.detection, light, RM_BOXES * RM_DETECTORS);
  EACH("detection", live.detection, detail, RM_BOXES * RM_DETECTORS);
  EACH("detection", live.detection, since_ns, RM_BOXES * RM_DETECTORS);
  EACH("detection", live.detection, seen_ns, RM_BOXES * RM_DETECTORS);
  EACH("usual", live.usual, quiet_ns, RM_BOXES * RM_SIDES);
  EACH("usual", live.usual, bar_ns, RM_BOXES * RM_SIDES);
  MANY(live, forgiven, RM_BOXES);
  MANY(live, against, RM_BOXES);
  ONE(live, open_done), ONE(live, open_failed), ONE(live, would), ONE(live, would_cause);
  NAMED("counter", live.counter, RM_COUNTERS);
  NAMED("why", live.why, RM_WHYS);
  NAMED("shed", live.shed, RM_WHYS);
  NAMED("parse", live.parse, RM_PARSES);
  NAMED("copied", live.rule, RM_RULES + 1);
}

#define PROBE(member) EACH("probe", command.probe, member, RM_PROBES)
#define PROBE_FRAME(member) EACH("probe_frame", command.probe_frame, member, RM_PROBES * RM_SIDES)
#define PROBE_VIEW(member) EACH("probed", live.probe, member, RM_PROBES * RM_BOXES * RM_SIDES)
#define GREY(member) EACH("grey", live.grey, member, RM_SIDES)

static void describe_probes(struct describe *d) {
  ONE(command, probe_generation), ONE(command, probe_count);
  PROBE(name), PROBE(kind), PROBE(expect), PROBE(failure), PROBE(ways), PROBE(boxes), PROBE(own), PROBE(fall);
  PROBE(rise), PROBE(interval_ns), PROBE(timeout_ns), PROBE(addr);
  PROBE_FRAME(bytes), PROBE_FRAME(token_at), PROBE_FRAME(sum_at), PROBE_FRAME(mac_given), PROBE_FRAME(mark_at);
  PROBE_FRAME(mark_bytes), PROBE_FRAME(frame);
  PROBE_VIEW(light), PROBE_VIEW(reason), PROBE_VIEW(sent), PROBE_VIEW(seen), PROBE_VIEW(lost), PROBE_VIEW(late);
  PROBE_VIEW(excused), PROBE_VIEW(sent_ns), PROBE_VIEW(seen_ns), PROBE_VIEW(delay_ns_min), PROBE_VIEW(delay_ns_max);
  PROBE_VIEW(delay);
  ONE(command, grey.on), ONE(command, grey.act), ONE(command, grey.loss_low), ONE(command, grey.loss);
  ONE(command, grey.loss_high), ONE(command, grey.openings), ONE(command, grey.repeats);
  ONE(command, grey.delay_times), ONE(command, grey.delay_ns), ONE(command, grey.wait_ns), ONE(command, grey.hold_ns);
  GREY(sampled), GREY(lost), GREY(openings), GREY(openings_lost), GREY(segments), GREY(repeats), GREY(loss);
  GREY(loss_usual), GREY(openings_loss), GREY(openings_usual), GREY(repeat), GREY(repeat_usual), GREY(delay_ns);
  GREY(delay_ns_usual), GREY(learning), GREY(blind);
}

static void describe_workers(struct describe *d) {
  ONE(live, workers), ONE(live, bypass);
  EACH("worker", live.worker, cpu, RM_WORKERS);
  EACH("worker", live.worker, ports, RM_WORKERS);
  EACH("worker", live.worker, queue, RM_WORKERS);
  EACH("worker", live.worker, poll, RM_WORKERS);
  EACH("worker", live.worker, turns, RM_WORKERS);
  EACH("worker", live.worker, loop_ns_max, RM_WORKERS);
  EACH("worker", live.worker, cpu_ns, RM_WORKERS);
  EACH("worker", live.worker, heartbeat_ns, RM_WORKERS);
  EACH("worker", live.worker, rx_packets, RM_WORKERS);
  EACH("worker", live.worker, tx_packets, RM_WORKERS);
}

static void describe_bfd_orders(struct describe *d) {
  ONE(command, bfd_generation), ONE(command, bfd_count);
  EACH("bfd_order", command.bfd, name, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, box, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, side, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, vlan, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, multihop, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, passive, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, min_tx_us, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, min_rx_us, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, multiplier, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, echo_us, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, auth, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, key_id, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, key_bytes, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, peer, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, local, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, gateway, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, mac, RM_BFD_SESSIONS);
  EACH("bfd_order", command.bfd, key, RM_BFD_SESSIONS);
}

#define BFD(member) EACH("bfd", live.bfd, member, RM_BFD_SESSIONS)

static void describe_bfd(struct describe *d) {
  describe_bfd_orders(d);
  ONE(live, bfd_done);
  NAMED("bfd_discard", live.bfd_discard, RM_BFD_DISCARDS);
  BFD(state), BFD(remote_state), BFD(diag), BFD(remote_diag), BFD(light), BFD(local_discr), BFD(remote_discr);
  BFD(tx_us), BFD(detect_us), BFD(echo_us), BFD(remote_multiplier), BFD(polling), BFD(demand), BFD(found);
  BFD(changed_ns), BFD(heard_ns), BFD(echo_heard_ns), BFD(ups), BFD(downs), BFD(sent), BFD(taken);
  BFD(echoes_sent), BFD(echoes_back), BFD(echoes_returned), BFD(late), BFD(excused_ns), BFD(mac);
  /* Of a session its reasons follow one another. */
  add(d, "bfd.discard", offsetof(struct rm_board, live.bfd[0].discard), sizeof(uint64_t[RM_BFD_DISCARDS]),
      RM_BFD_SESSIONS, sizeof(struct rm_bfd_view));
}

static void describe_event(struct describe *d) {
  EACH("event", event, sequence, RM_EVENTS);
  EACH("event", event, mono_ns, RM_EVENTS);
  EACH("event", event, wall_ns, RM_EVENTS);
  EACH("event", event, kind, RM_EVENTS);
  EACH("event", event, cause, RM_EVENTS);
  EACH("event", event, before, RM_EVENTS);
  EACH("event", event, after, RM_EVENTS);
  EACH("event", event, subject, RM_EVENTS);
  EACH("event", event, order, RM_EVENTS);
  EACH("event", event, silent_ns, RM_EVENTS);
  EACH("event", event, lost_packets, RM_EVENTS);
}

static void describe_flow(struct describe *d) {
  FLOW_EACH(addr, 2);
  FLOW_EACH(port, 2);
  FLOW(vlan), FLOW(proto), FLOW(age), FLOW(outer_dir), FLOW(rule), FLOW(flags), FLOW(rule_generation);
  FLOW(first_ns), FLOW(last_ns), FLOW(peer), FLOW(seed_switch), FLOW(nature), FLOW(turn_left), FLOW(turn_spent), FLOW(opener);
  HALF(bytes), HALF(payload_bytes), HALF(mirrored_ns), HALF(packets), HALF(payload_packets), HALF(mirrored);
  HALF(copied), HALF(next), HALF(ack), HALF(window), HALF(scale), HALF(flags);
}

static void describe_resync(struct describe *d) {
  MANY(command, resync_order, RM_BOXES), MANY(command, resync_stop, RM_BOXES);
  MANY(command, capacity, RM_BOXES), ONE(command, seed_rate), ONE(command, seed_wait_ns), ONE(command, refresh_ns);
  EACH("resync", live.resync, order, RM_BOXES);
  EACH("resync", live.resync, running, RM_BOXES);
  EACH("resync", live.resync, refreshes, RM_BOXES);
  EACH("resync", live.resync, flows, RM_BOXES);
  EACH("resync", live.resync, done, RM_BOXES);
  EACH("resync", live.resync, unlike, RM_BOXES);
  EACH("resync", live.resync, unheard, RM_BOXES);
  EACH("resync", live.resync, failed, RM_BOXES);
  EACH("resync", live.resync, gone, RM_BOXES);
  EACH("resync", live.resync, begun_ns, RM_BOXES);
  EACH("resync", live.resync, ended_ns, RM_BOXES);
}

static void describe_match(struct describe *d) {
  MANY(live, held, RM_BOXES), MANY(live, missing, RM_BOXES);
  EACH("match", live.match, equal, RM_BOXES * RM_MATCH_CLASSES);
  EACH("match", live.match, different, RM_BOXES * RM_MATCH_CLASSES);
  EACH("match", live.match, followed, RM_BOXES * RM_MATCH_CLASSES);
  EACH("match", live.match, dropped, RM_BOXES * RM_MATCH_CLASSES);
  ONE(live, unlike_sequence);
  EACH("unlike", live.unlike, sequence, RM_UNLIKES);
  EACH("unlike", live.unlike, slot, RM_UNLIKES);
  EACH("unlike", live.unlike, side, RM_UNLIKES);
  EACH("unlike", live.unlike, box, RM_UNLIKES);
  EACH("unlike", live.unlike, port, RM_UNLIKES);
  EACH("unlike", live.unlike, addr, RM_UNLIKES);
}

static void describe_steps(struct describe *d) {
  ONE(live, step_sequence);
  EACH("step", step, sequence, RM_STEPS);
  EACH("step", step, mono_ns, RM_STEPS);
  EACH("step", step, wall_ns, RM_STEPS);
  EACH("step", step, kind, RM_STEPS);
  add(d, "step", offsetof(struct rm_board, step), sizeof(struct rm_step), RM_STEPS, sizeof(struct rm_step));
}

static const char *const COUNTER_NAME[RM_COUNTERS] = {
    "tx_full", "mirror_full", "blocked", "shadow", "drained", "arp_answered", "arp_unknown", "seeded",
    "seed_unpaired", "seed_swallowed", "seed_full", "flow_evicted", "flow_expired", "event_lost", "too_big", "stalls",
    "flow_evicted_live", "handover_full", "crossing_full", "seed_held", "paused", "injected", "inject_refused", "canary_taken",
    "replayed", "replay_seen", "replay_dropped", "replay_unknown", "guarded", "announced", "probe_taken",
    "probe_stray", "probe_unsent", "fixed_up", "fixup_collision", "fixup_full", "seed_alike", "seed_translated",
    "seed_unlike", "seed_unheard", "seed_repeated", "seed_hurried", "seed_left", "resynced", "recorded", "record_shed",
    "value_refused", "value_seeded", "value_removed", "steered", "steer_held", "steer_again",
    "steer_forgotten"};
static const char *const WHY_NAME[RM_WHYS] = {"none", "neighbour", "handshake", "teardown", "keepalive", "first",
                                              "payload", "ack", "fragment", "bytes", "turn", "sample", "all"};
static const char *const PARSE_NAME[RM_PARSES] = {
    "flow", "neighbour", "link_local", "not_ip", "fragment", "short_ethernet", "short_vlan", "deep_vlan",
    "short_ip", "bad_ip_version", "bad_ip_header", "bad_ip_length", "deep_ipv6", "short_transport", "bad_tcp_offset"};

static const char *const BFD_DISCARD_NAME[RM_BFD_DISCARDS] = {
    "taken", "frame", "checksum", "version", "length", "multiplier", "multipoint", "my_discriminator", "state",
    "no_session", "ttl", "auth_absent", "auth_unasked", "auth_type", "auth_key", "auth_digest", "auth_sequence",
    "echo", "not_bfd"};

static void name_all(struct rm_named *to, const char *const *from, uint32_t n) {
  for (uint32_t i = 0; i < n; i++) snprintf(to[i].name, sizeof to[i].name, "%s", from[i]);
}

size_t board_bytes(uint32_t slots) {
  return sizeof(struct rm_board) + (size_t)RM_SIDES * slots * (sizeof(struct rm_flow) + 2 * sizeof(uint32_t));
}

void board_fill(struct rm_board *b, uint32_t slots, const char *version) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  struct describe d = {b->field, 0};
  describe_header(&d);
  describe_command(&d);
  describe_port(&d);
  describe_channel(&d);
  describe_steer(&d);
  describe_live(&d);
  describe_probes(&d);
  describe_workers(&d);
  describe_event(&d);
  describe_bfd(&d);
  describe_flow(&d);
  describe_match(&d);
  describe_resync(&d);
  describe_steps(&d);
  name_all(b->live.counter, COUNTER_NAME, RM_COUNTERS);
  name_all(b->live.why, WHY_NAME, RM_WHYS);
  name_all(b->live.shed, WHY_NAME, RM_WHYS);
  name_all(b->live.parse, PARSE_NAME, RM_PARSES);
  name_all(b->live.bfd_discard, BFD_DISCARD_NAME, RM_BFD_DISCARDS);
  size_t words = sizeof(struct rm_board) + (size_t)RM_SIDES * slots * sizeof(struct rm_flow);
  b->header = (struct rm_header){
      .abi = RM_ABI_VERSION, .size = board_bytes(slots), .field_offset = offsetof(struct rm_board, field),
      .field_count = d.n, .field_bytes = sizeof(struct rm_field), .state = RM_STATE_SETUP,
      .flow_bytes = sizeof(struct rm_flow), .flow_slots = slots, .plane_pid = (uint32_t)getpid(),
      .started_wall_ns = (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec,
      .flow_offset = {sizeof(struct rm_board), sizeof(struct rm_board) + (size_t)slots * sizeof(struct rm_flow)},
      .twin_offset = {words, words + (size_t)slots * sizeof(uint32_t)},
      .carried_offset = {words + (size_t)slots * 2 * sizeof(uint32_t), words + (size_t)slots * 3 * sizeof(uint32_t)}};
  b->header.boot = b->header.started_wall_ns * 0x9e3779b97f4a7c15ull ^ (uint64_t)getpid();
  snprintf(b->header.version, sizeof b->header.version, "%s", version);
  b->setup.flow_slots = slots;
  /* The magic last: a reader that sees it sees the rest. */
  __atomic_store_n(&b->header.magic, RM_MAGIC, __ATOMIC_RELEASE);
}
