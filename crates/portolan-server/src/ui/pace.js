/*
 * When the next question is asked, and by which index. PURE.
 *
 * In:  what came of the last one. Out: an index, a rest in milliseconds.
 *
 * Never: asks again at once for ever; carries an index over a step back.
 *
 * Rules from Consul: features/blocking.mdx. An index that goes down starts over; one below 1 is 1.
 */

/* How long the registry may hold a question: a proof of life so often. */
export const WAIT = 20_000;
/* How much longer an answer may take before the connection is taken for dead: Consul adds a sixteenth. */
export const SLACK = 12_000;
/* A picture older than this is marked. */
export const OLD = WAIT + WAIT / 16 + SLACK;

const LEAST_REST = 200;
const LONGEST_REST = 15_000;
const COST = 5;

/* The index of the next question, 0 for one that does not wait. */
export function nextIndex(had, got) {
  if (!Number.isFinite(got) || got < 1) return had === 0 ? 0 : 1;
  return got < had ? 0 : got;
}

/* The rest after an answer that took so long to send and read, waiting left out: a busy catalogue is not read for ever. */
export function afterAnswer(took) {
  return Math.min(LONGEST_REST, Math.max(LEAST_REST, COST * took));
}

/* The rest after so many failures in a row, from half to all of a doubling bound; `chance` is from 0 to 1. */
export function afterFailure(failures, chance) {
  const bound = Math.min(LONGEST_REST, 500 * 2 ** Math.min(failures, 10));
  return bound / 2 + (bound / 2) * chance;
}
