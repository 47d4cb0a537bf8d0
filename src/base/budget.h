// One budget for the memory that others can make this process hold: what they send, and what is made for them to read.
// A thread says that it works for a peer (budget_for_peer); what its arenas and buffers take from then on, and what it
// takes by hand, counts against one limit of the whole process until it is given back, by whichever thread. Past the
// limit an arena or buffer has no room, as past its own; budget_was_refused then tells the one from the other, so that
// the peer is told to come again rather than that its request is too large.
//
// Threads that work for the program itself (jobs, deliveries, consumers) have limits of their own, by their number, and
// do not count.
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

// What a peer is told then.
#define BUDGET_USED_UP "the memory for all who send or ask is taken (memory.peers_mb); try again"

// In bytes, of the whole process; 0, as at the start: no limit.
void budget_set(uint64_t limit);
uint64_t budget_limit(void);
uint64_t budget_used(void);
uint64_t budget_refusals(void); // since the start

// This thread works for a peer from now on, or not any more. Forgets an earlier refusal.
void budget_for_peer(bool does);
bool budget_is_for_peer(void);
bool budget_was_refused(void); // this thread, since then

// Takes `bytes` for what this thread does; *charged is what is to be given back: 0 where it works for no peer. false:
// there is no room, and nothing is taken.
bool budget_take(uint64_t bytes, uint64_t *charged);
// The same, waiting up to `patience_ns` for others to give back.
bool budget_take_in(uint64_t bytes, int64_t patience_ns, uint64_t *charged);
void budget_give(uint64_t charged);

#endif
