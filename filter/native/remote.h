/* A port whose interface is on another machine: what its files share. Everything in it belongs to the worker that receives
 * from the port, but the words at the end.
 *
 *   node's plane                    UDP, routed                      far end (far.c)
 *   redundant-in  = remote:   <---- channel, VNI 1 ---->  listen:  <-> packet socket -- box, client side
 *   redundant-out = remote:   <---- channel, VNI 2 ---->  listen:  <-> packet socket -- box, server side
 */
#ifndef RM_REMOTE_H
#define RM_REMOTE_H
#include <netinet/in.h>
#include <sys/socket.h>
#include "channel_seal.h"
#include "channel_session.h"
#include "plane.h"

#define REMOTE_BATCH 64u
#define REMOTE_DATAGRAM 9216u      /* the largest that is sent or taken */
#define REMOTE_WINDOW 4096u        /* units that may wait for a gap: 50 ms at 1 Gbit/s */
#define REMOTE_UNITS 16384u        /* units that are kept, if the ring has so many bytes */

struct remote_settings {
  struct sockaddr_storage at, local;
  socklen_t at_bytes, local_bytes;
  struct channel_secret secret;
  uint64_t silence_ns, wait_ns, reorder_ns;
  uint32_t ring_bytes, datagram_bytes, vni; /* datagram_bytes: 0: as the route says */
  bool listens, encrypts;
};

struct remote {
  struct port *port;
  struct remote *sibling;          /* of the box's other port, if that is remote too */
  struct remote_settings set;
  struct channel_session session;
  struct channel_seal seal, unseal;
  struct channel_out out;
  struct channel_in in;
  struct channel_words peer;       /* what it said last */
  uint64_t peer_ns, peer_lost;     /* when; units that it gave up */
  uint64_t rtt_ns, rtt_deviation_ns;
  uint64_t beat_ns, data_ns, hello_ns, route_ns; /* last word of how this end is; last unit; ... */
  uint32_t quick;                  /* words sent since the last unit, so that the loss of the last one is noticed */
  uint32_t unit_bytes;             /* of a frame, at most, in one datagram */
  uint64_t gated_ns;               /* since when a frame waits for the sibling; 0: none does */
  bool up, connected, local_link, said_down, said_link;
  uint32_t local_mtu;
  struct rte_mbuf *partial;        /* a frame of which parts are still to come */
  uint64_t sessions, refused, torn, units, received;
  struct mmsghdr message[REMOTE_BATCH], arrived[REMOTE_BATCH];
  struct iovec vector[REMOTE_BATCH], place[REMOTE_BATCH];
  struct sockaddr_storage from[REMOTE_BATCH];
  uint32_t frame_of[REMOTE_BATCH]; /* of each datagram that waits to be sent: the frame it is of */
  uint64_t sequence_of[REMOTE_BATCH];
  uint32_t waiting;
  uint8_t (*buffer)[REMOTE_DATAGRAM], (*incoming)[REMOTE_DATAGRAM];
  /* For other threads, atomic. */
  uint64_t slack_ns;               /* what it may take until a lost frame has come after all */
  uint32_t carrier, want_down;     /* carrier: for worker 0; want_down: of whoever propagates links */
};

static inline struct remote *remote_of(const struct port *port) {
  return (struct remote *)(port->first ? port->first->scratch : port->scratch);
}

/* remote_settings.c: "192.0.2.7:4790,key=FILE,..."; -1 with the reason in the plane's error. */
int remote_parse(struct plane *p, const char *text, struct remote_settings *to);

/* remote_talk.c: datagrams. A batch of what came in; how many did. */
int remote_read(struct remote *r);
/* What is due by now: hellos, words, questions, the end of a session. */
void remote_tick(struct remote *r, uint64_t now);
/* When the next of that is due. */
uint64_t remote_due(const struct remote *r);
/* Frames in order, up to n. */
uint16_t remote_pull(struct remote *r, struct rte_mbuf **frames, uint16_t n);
/* How many of the frames were taken, from the front. */
uint16_t remote_send(struct remote *r, struct rte_mbuf *const *frames, uint16_t n);
/* What fits into one datagram on the way there. */
void remote_measure(struct remote *r);
void remote_bye(struct remote *r);
#endif
