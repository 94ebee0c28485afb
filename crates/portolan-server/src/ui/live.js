/*
 * Keeps what a path shows current: a blocking query, again and again.
 *
 * In:  a path. Out: its value at each change, and how fresh it is: when it was last confirmed, since when it fails and why.
 *
 * Only an answer that was read confirms anything; an open question proves nothing. While the page is hidden nothing is
 * asked, since a browser has six connections to one registry for all its tabs.
 *
 * Never: shows a failure as an empty answer; rests for ever; asks without a rest.
 */
import { read } from './api.js';
import { WAIT, SLACK, nextIndex, afterAnswer, afterFailure } from './pace.js';

const all = new Set();
const watchers = new Set();

/* Calls `run` when the freshness of anything that is followed may have changed. */
export const onFreshness = (run) => watchers.add(run);
const told = () => watchers.forEach((run) => run());

/* All that is followed now. */
export const followed = () => [...all];

/* Asks at once, all that rest after a failure. */
export const tryNow = () => all.forEach((one) => one.hurry());

/* Forgets all indexes and asks anew: another token sees other things. */
export const restartAll = () => all.forEach((one) => one.restart());

document.addEventListener('visibilitychange', () => all.forEach((one) => one.seen()));

/*
 * Follows a path. `onValue(value)` at each change. `missing`: 404 is the value `null`. End it with `.stop()`.
 */
export function follow(path, onValue, { missing = false } = {}) {
  const one = new Follower(path, onValue, missing);
  all.add(one);
  one.run();
  return one;
}

class Follower {
  constructor(path, onValue, missing) {
    Object.assign(this, { path, onValue, missing });
    /* When an answer was last read, and from when on there was none; milliseconds of this clock, or null. */
    this.confirmed = null;
    this.failingSince = null;
    this.failure = null;
    this.nextTry = null;
    this.hidden = false;
    this.nameless = false;
    this.leader = true;
    this.index = 0;
    this.seenIndex = undefined;
    this.failures = 0;
    this.stopped = false;
    this.paused = document.hidden;
    this.asking = null;
    this.wake = null;
  }

  stop() {
    this.stopped = true;
    all.delete(this);
    this.asking?.abort();
    this.wake?.();
    told();
  }

  hurry() {
    this.wake?.();
  }

  restart() {
    this.index = 0;
    this.seenIndex = undefined;
    this.asking?.abort();
    this.wake?.();
  }

  seen() {
    this.paused = document.hidden;
    if (this.paused) this.asking?.abort();
    else this.wake?.();
  }

  async run() {
    while (!this.stopped) {
      if (this.paused) {
        await this.rest(null);
        continue;
      }
      const rest = await this.ask();
      if (this.stopped) return;
      told();
      if (rest > 0) await this.rest(rest);
    }
  }

  /* Asks once, and says how long to rest. */
  async ask() {
    this.asking = new AbortController();
    this.nextTry = null;
    const glue = this.path.includes('?') ? '&' : '?';
    const path = this.index > 0 ? `${this.path}${glue}index=${this.index}&wait=${WAIT / 1000}s` : this.path;
    try {
      const within = WAIT + WAIT / 16 + SLACK;
      const answer = await read(path, { signal: this.asking.signal, within, known: this.seenIndex, missing: this.missing });
      const changed = answer.value !== undefined;
      Object.assign(this, { confirmed: Date.now(), failingSince: null, failure: null, failures: 0 });
      Object.assign(this, { hidden: answer.hidden, nameless: answer.nameless, leader: answer.leader });
      this.index = nextIndex(this.index, answer.index);
      this.seenIndex = answer.index;
      if (!changed) return afterAnswer(0);
      const begun = performance.now();
      this.onValue(answer.value);
      return afterAnswer(answer.took + performance.now() - begun);
    } catch (error) {
      if (this.stopped || this.asking.signal.aborted) return 0;
      // Whatever was held may be gone when it is back: it is read anew, without an index.
      Object.assign(this, { failure: error, failingSince: this.failingSince ?? Date.now(), index: 0, seenIndex: undefined });
      const rest = afterFailure(this.failures, Math.random());
      this.failures += 1;
      this.nextTry = Date.now() + rest;
      return rest;
    }
  }

  /* Until the time is over, or somebody wakes it. */
  rest(milliseconds) {
    return new Promise((resolve) => {
      const timer = milliseconds === null ? null : setTimeout(resolve, milliseconds);
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    }).then(() => {
      this.wake = null;
    });
  }
}
