/*
 * How fresh the picture is, in words, all the time; and an alarm when it is old.
 *
 * In:  all that is followed. Out: `Live`, with the age of the oldest proof; or since when there is none, why, and when it is
 * tried again.
 *
 * Never: calls fresh what was not confirmed; is silent about a registry that does not answer.
 */
import { h, replace, text } from './dom.js';
import { followed, onFreshness, tryNow } from './live.js';
import { clock, span } from './words.js';
import { OLD } from './pace.js';

/* What all followers come to: `{ state, ... }`. PURE but for its arguments' reads. */
export function judge(all, now) {
  const failing = all.filter((one) => one.failingSince !== null);
  const answered = all.filter((one) => one.confirmed !== null);
  const oldest = answered.length > 0 ? Math.min(...answered.map((one) => one.confirmed)) : null;
  if (failing.length > 0) {
    const first = failing.reduce((one, other) => (other.failingSince < one.failingSince ? other : one));
    const next = failing.map((one) => one.nextTry).filter((at) => at !== null);
    return { state: first.failure.kind, since: first.failingSince, why: first.failure.message, oldest, next: next.length > 0 ? Math.min(...next) : null };
  }
  if (answered.length < all.length || oldest === null) return { state: 'reading', oldest };
  if (now - oldest > OLD) return { state: 'old', oldest };
  if (all.some((one) => !one.leader)) return { state: 'leaderless', oldest };
  return { state: 'live', oldest, hidden: all.some((one) => one.hidden), nameless: all.some((one) => one.nameless) };
}

const pulse = document.getElementById('pulse');
const alarm = document.getElementById('alarm');
const dot = h('span', { class: 'dot', 'aria-hidden': 'true' });
const word = h('span', { class: 'word' });
const age = h('span', { class: 'age' });
pulse.append(dot, word, age);

const headline = h('strong');
const detail = h('span', { class: 'detail' });
const again = h('button', { type: 'button', on: { click: tryNow } }, 'Try now');
/* The seconds go on beside the alarm, not in it: it is read out once. */
const ticking = h('span', { class: 'ticking', 'aria-live': 'off' });
const alarmLine = h('div', { class: 'alarm' }, headline, ' ', detail, ' ', ticking, again);

const HEADLINES = {
  unreachable: (since) => `The registry cannot be reached since ${since}.`,
  late: (since) => `The registry does not answer since ${since}.`,
  denied: () => 'The registry refuses to show this.',
  refused: (since) => `The registry answers with an error since ${since}.`,
  foreign: () => 'What answers here is no registry.',
  leaderless: () => 'The registry has no leader: what it shows may be old.',
  old: () => 'The connection is silent: what you see may be old.',
};

function picture(found) {
  return found.oldest === null ? 'Nothing has been read yet.' : `What you see is from ${clock(found.oldest)}.`;
}

function detailOf(found) {
  if (found.state === 'denied') return `${found.why}. Give a token that may read services and nodes.`;
  if (found.state === 'leaderless') return '';
  const why = found.why === undefined || found.state === 'unreachable' || found.state === 'late' ? '' : `${found.why}. `;
  return why + picture(found);
}

function show() {
  const now = Date.now();
  const found = judge(followed(), now);
  const fine = found.state === 'live' || found.state === 'reading';
  pulse.dataset.state = fine ? found.state : 'stale';
  text(word, { live: 'Live', reading: 'Reading…', denied: 'Refused' }[found.state] ?? 'Stale');
  text(age, found.oldest === null || found.state === 'reading' ? '' : `${span(now - found.oldest)} ago`);
  pulse.title = found.oldest === null ? '' : `Last confirmed by the registry at ${clock(found.oldest)}`;
  document.body.classList.toggle('stale', !fine && found.oldest !== null && found.state !== 'leaderless');
  if (fine) {
    const hint = found.nameless ? namelessLine : found.hidden ? hiddenLine : null;
    if (hint === null) replace(alarm);
    else if (alarm.firstChild !== hint) replace(alarm, hint);
    return;
  }
  text(headline, HEADLINES[found.state](clock(found.since ?? now)));
  text(detail, detailOf(found));
  const age_ = found.oldest === null ? '' : ` It is ${span(now - found.oldest)} old.`;
  const next = found.next ? ` Next try in ${span(found.next - now)}.` : '';
  text(ticking, `${found.state === 'denied' ? '' : age_}${next}`);
  alarmLine.dataset.state = found.state;
  if (alarm.firstChild !== alarmLine) replace(alarm, alarmLine);
}

const hiddenLine = h('div', { class: 'alarm mild' }, h('strong', {}, 'Some entries are hidden.'), ' ', h('span', {}, 'The access rules keep part of the catalogue from this token: what is not here may still be there.'));
const namelessLine = h('div', { class: 'alarm mild' }, h('strong', {}, 'No token is given.'), ' ', h('span', {}, 'This registry shows nothing by default: what is not here may still be there. Give a token with “Token”.'));

/* Begins to show it. */
export function start() {
  onFreshness(show);
  setInterval(show, 1000);
  show();
}
