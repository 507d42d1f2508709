/* Stress of what workers tell each other, for ThreadSanitizer: path, reports, and the order of telling and listening.
 *
 * argv[1] workers, each a thread, put frames into the serving box and take what comes out of both, in argv[2] rounds;
 * argv[3] seeds. The box hands every frame on to a worker of the other side at once, and worker 0 is ordered to switch
 * all the time. Says how many frames were looked at by a worker that had not heard of the switch before which they were
 * put in, and after how many rounds, when all was answered, some put was thought unanswered: none, if the order holds.
 */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "plane.h"

#define WORKERS_MAX 4
#define AT_ONCE 32
#define FLOWS 64
#define FRAMES 100 /* of each worker in a round */

static struct rm_board board;
static struct crew crew;
static struct plane *worker[WORKERS_MAX];
static struct crossing box[RM_BOXES][WORKERS_MAX][WORKERS_MAX]; /* [box][out to][in from] */
static uint64_t rounds, sent, received, unheard, unanswered, seed;
static pthread_barrier_t barrier;

/* What the rest of the plane would do. */
void port_flush(struct plane *p, struct port *port) { (void)p, (void)port; }
void link_set(struct plane *p, struct port *port, bool up) { (void)p, (void)port, (void)up; }
void pair_take(struct plane *p, uint32_t from, const struct message *said) { (void)p, (void)from, (void)said; }
void infer_take(struct plane *p, const struct message *said) { (void)p, (void)said; }
void neighbour_take(struct plane *p, const struct message *said) { (void)p, (void)said; }
void seed_take(struct plane *p, uint32_t from, const struct message *said) { (void)p, (void)from, (void)said; }
void bfd_take(struct plane *p, uint32_t role, struct rte_mbuf *frame) { (void)p, (void)role, (void)frame; }
void probe_hear(struct plane *p, const struct message *said) { (void)p, (void)said; }
void crew_wake(struct crew *of, uint32_t index) { (void)of, (void)index; }
uint32_t crew_worker(const struct crew *of, uint32_t side, uint32_t queue) { return (void)of, 2 * queue + side; }

/* splitmix64: any seed is good. */
static uint32_t chance(uint64_t *state, uint32_t below) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (uint32_t)((z ^ (z >> 31)) % below);
}

static uint64_t clock_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * RM_S + (uint64_t)t.tv_nsec;
}

static void put_some(struct plane *p, uint64_t *state, uint64_t *left) {
  uint32_t n = chance(state, AT_ONCE), side = p->index % 2, to[AT_ONCE];
  if (n > *left) n = (uint32_t)*left;
  for (uint32_t i = 0; i < n; i++) {
    to[i] = 2 * chance(state, crew.queues) + 1 - side;
    uint32_t flow = chance(state, FLOWS);
    note_put(p, side, &(struct put){.frames = 1, .flow = flow, .other = flow});
  }
  uint32_t into = (uint32_t)serving(p);
  if (p->tally.untold) crew_report(p);
  __atomic_fetch_add(&sent, n, __ATOMIC_RELAXED);
  for (uint32_t i = 0; i < n; i++)
    while (!crossing_put(&box[into][to[i]][p->index], &(struct message){.slot = p->reflex.switch_number})) sched_yield();
  *left -= n;
}

static void take_some(struct plane *p, uint32_t from, uint32_t of) {
  struct message frame[AT_ONCE];
  uint32_t n = 0;
  while (n < AT_ONCE && crossing_take(&box[of][p->index][from], &frame[n])) n++;
  if (n == 0) return;
  hear(p);
  for (uint32_t i = 0; i < n; i++) {
    if ((int32_t)(frame[i].slot - p->reflex.switch_number) > 0) __atomic_fetch_add(&unheard, 1, __ATOMIC_RELAXED);
    if ((int)of == serving(p)) note_out(p, p->index % 2, 1);
    else note_drained(p, 1);
  }
  __atomic_fetch_add(&received, n, __ATOMIC_RELAXED);
}

static void turn(struct plane *p, uint64_t *state, uint64_t *left) {
  p->now = p->reflex.now = clock_ns();
  hear(p);
  put_some(p, state, left);
  for (uint32_t of = 0; of < RM_BOXES; of++)
    for (uint32_t from = 0; from < crew.workers; from++)
      if (from % 2 != p->index % 2) take_some(p, from, of);
  if (p->index) {
    crew_report(p);
    __atomic_store_n(&crew.report[p->index].looked_ns, p->now, __ATOMIC_RELEASE);
    return;
  }
  if (*left && chance(state, 16) == 0) {
    board.command.order_path = (p->reflex.path + 1) % 3;
    board.command.order_sequence++;
  }
  reflex_order(&p->reflex);
  crew_judge(p);
}

static void *work(void *argument) {
  struct plane *p = argument;
  uint64_t state = seed + p->index;
  for (uint64_t round = 1; round <= rounds; round++) {
    uint64_t left = FRAMES;
    while (left || __atomic_load_n(&received, __ATOMIC_ACQUIRE) < crew.workers * FRAMES * round) {
      turn(p, &state, &left);
      if (chance(&state, 64) == 0) sched_yield();
    }
    turn(p, &state, &left);
    pthread_barrier_wait(&barrier);
    if (p->index == 0) {
      crew_judge(p);
      unanswered += p->reflex.way[0].put || p->reflex.way[1].put;
    }
    pthread_barrier_wait(&barrier);
  }
  return NULL;
}

static bool prepare(uint32_t workers) {
  bool link[RM_BOXES][RM_SIDES] = {{true, true}, {true, true}, {true, true}};
  crew.workers = workers;
  crew.queues = workers / 2;
  board.command = (struct rm_command){.silence_ns = 1000 * RM_S, .silence_packets = 8, .drain_ns = 1000 * RM_S};
  for (uint32_t i = 0; i < workers; i++) {
    struct plane *p = worker[i] = crew.worker[i] = aligned_alloc(64, (sizeof *p + 63) & ~63ul);
    if (!p) return false;
    memset(p, 0, sizeof *p);
    p->board = &board, p->crew = &crew, p->index = i, p->live = calloc(1, sizeof *p->live);
    for (uint32_t from = 0; from < workers; from++) {
      crew.crossing[i][from] = aligned_alloc(64, sizeof(struct crossing));
      if (!p->live || !crew.crossing[i][from]) return false;
      memset(crew.crossing[i][from], 0, sizeof(struct crossing));
    }
  }
  worker[0]->reflex.board = &board;
  worker[0]->now = worker[0]->reflex.now = clock_ns();
  reflex_open(&worker[0]->reflex, 3, link);
  crew_start(worker[0]);
  return true;
}

int main(int n, char **argument) {
  if (n != 4) return fprintf(stderr, "usage: talk WORKERS ROUNDS SEED\n"), 2;
  uint32_t workers = (uint32_t)atoi(argument[1]);
  rounds = strtoull(argument[2], NULL, 10), seed = strtoull(argument[3], NULL, 10);
  if (!prepare(workers) || pthread_barrier_init(&barrier, NULL, workers)) return 1;
  pthread_t thread[WORKERS_MAX];
  for (uint32_t i = 0; i < workers; i++)
    if (pthread_create(&thread[i], NULL, work, worker[i])) return 1;
  for (uint32_t i = 0; i < workers; i++) pthread_join(thread[i], NULL);
  printf("sent %lu\nreceived %lu\nunheard %lu\nunanswered %lu\nswitches %lu\n", sent, received, unheard, unanswered,
         board.live.switches);
  return 0;
}
