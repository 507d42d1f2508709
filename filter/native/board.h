/* Life and description of the board; see board.c, describe.c. */
#ifndef RM_BOARD_H
#define RM_BOARD_H
#include <stddef.h>
#include "abi.h"
#define RM_EXPORT __attribute__((visibility("default")))
/* Of a board with `slots` flows on each side. */
size_t board_bytes(uint32_t slots);
/* Describe a zeroed board and declare it complete; its memory holds `slots` flows of each side behind it. */
void board_fill(struct rm_board *b, uint32_t slots, const char *version);
RM_EXPORT void *rm_board_create(const char *path, uint32_t slots, const char *version, int32_t *error);
RM_EXPORT void *rm_board_open(const char *path, uint64_t *bytes, int32_t *error);
RM_EXPORT void rm_board_close(void *map, uint64_t bytes);
RM_EXPORT int32_t rm_board_held(const char *path);
RM_EXPORT int32_t rm_board_remove(const char *path);
RM_EXPORT uint32_t rm_abi_version(void);
RM_EXPORT void rm_store(uint32_t *word, uint32_t value);
RM_EXPORT uint64_t rm_mono_ns(void);
#endif
