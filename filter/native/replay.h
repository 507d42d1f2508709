/* Replay: what the old box swallowed is put into the new one. State of one worker for one side of the node.
 *
 * What went in by a side is kept by the worker of that side; what comes out is seen by those of the other, which may be the
 * same. Where they are not, each writes what came out to a log that all of the other side read at their own pace.
 */
#ifndef RM_REPLAY_H
#define RM_REPLAY_H
#include "crew.h"
#include "kept.h"
#include "once.h"

#define RM_LOG 8192u /* traces; a reader that is this far behind no longer knows what came out */

/* Of what came out on a worker's side, in order. The writer never waits and overwrites the oldest. */
struct trace_log {
  uint64_t written RM_ALIGNED;
  uint64_t trace[RM_LOG] RM_ALIGNED;
};

struct replay {
  uint32_t begun;            /* number of the last switch that it has begun with */
  uint32_t until;            /* position in `kept` up to which frames are of the old box */
  uint64_t begun_ns;
  uint64_t heard[RM_WORKERS]; /* of each worker's log */
  struct rm_kept kept;
};
#endif
