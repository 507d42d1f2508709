/* What memif needs beside its driver: calls to a server that is gone, and its memory kept while a worker may be in it. */
#ifndef PORT_MEMIF_H
#define PORT_MEMIF_H
#include <stdbool.h>
#include <stdint.h>

struct port;

enum memif_call { MEMIF_UNANSWERED, MEMIF_ANSWERED, MEMIF_CALLING };

struct memif {
  bool dials;      /* it is the client, who has to call again */
  uint32_t call;   /* enum memif_call: how the last one went */
  uint64_t called_ns;
};

/* Note how the first start of its device went. */
void memif_open(struct port *port, const char *spec, bool answered);

/* Call its server again if it is time; of the first worker, a few times a second or more. */
void memif_follow(struct port *port, uint64_t now);

/* Of the thread that closes ports: no call is under way any more. */
void memif_close(struct port *port);

#endif
