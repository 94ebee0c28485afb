/*
 * Versions and what is required of them, as the library reads them. PURE.
 *
 * In:  meta and tags; the text of a requirement. Out: versions, whether one will do.
 *
 * Never: guesses: what cannot be read is null.
 *
 * Rules from cargo's semver, and crates/portolan/src/model/{version,requirement}.rs.
 */

const PRE = '[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*';
const WHOLE = new RegExp(`^(\\d+)\\.(\\d+)\\.(\\d+)(?:-(${PRE}))?(?:\\+${PRE})?$`);
const SHORT = /^(\d+)(?:\.(\d+))?$/;
const COMPARATOR = new RegExp(`^(=|>=?|<=?|~|\\^)?\\s*(\\d+|[*xX])(?:\\.(\\d+|[*xX]))?(?:\\.(\\d+|[*xX]))?(?:-(${PRE}))?(?:\\+${PRE})?$`);

/* A version, a `v` before it and missing parts at its end forgiven. */
export function version(text) {
  const plain = text.startsWith('v') ? text.slice(1) : text;
  const found = WHOLE.exec(plain) ?? SHORT.exec(plain);
  if (found === null) return null;
  return { major: Number(found[1]), minor: Number(found[2] ?? 0), patch: Number(found[3] ?? 0), pre: found[4] ?? '', text };
}

/* What an instance says of its version: `{ text, version }`, `version` null where it cannot be read; null for nothing. */
export function versionOf(meta, tags) {
  const texts = [meta?.version, tags.find((tag) => /^v\d/.test(tag)), tags.find((tag) => tag.startsWith('version='))?.slice(8)];
  const said = texts.filter((text) => text);
  const read = said.find((text) => version(text) !== null) ?? said[0];
  return read === undefined ? null : { text: read, version: version(read) };
}

function comparePre(one, other) {
  if (one === other) return 0;
  if (one === '') return 1;
  if (other === '') return -1;
  const [left, right] = [one.split('.'), other.split('.')];
  for (let at = 0; at < Math.max(left.length, right.length); at += 1) {
    const [a, b] = [left[at], right[at]];
    if (a === undefined) return -1;
    if (b === undefined) return 1;
    const [isA, isB] = [/^\d+$/.test(a), /^\d+$/.test(b)];
    if (isA && isB && Number(a) !== Number(b)) return Number(a) - Number(b);
    if (isA !== isB) return isA ? -1 : 1;
    if (a !== b) return a < b ? -1 : 1;
  }
  return 0;
}

export const compare = (one, other) =>
  one.major - other.major || one.minor - other.minor || one.patch - other.patch || comparePre(one.pre, other.pre);

/* A requirement, or null where it cannot be read. */
export function requirement(text) {
  const also = /\+pre\s*$/.test(text);
  const body = text.replace(/\+pre\s*$/, '').trim();
  if (body === 'latest' || body === 'latest-minor') return { kind: body, also, comparators: [] };
  if (body === '*') return { kind: 'range', also, comparators: [] };
  const comparators = body.split(',').map((part) => comparator(part.trim()));
  return body === '' || comparators.includes(null) ? null : { kind: 'range', also, comparators };
}

function comparator(text) {
  const found = COMPARATOR.exec(text);
  if (found === null) return null;
  const wild = [found[2], found[3], found[4]].some((part) => part !== undefined && /[*xX]/.test(part));
  const part = (value) => (value === undefined || /[*xX]/.test(value) ? null : Number(value));
  const [major, minor, patch] = [part(found[2]), part(found[3]), part(found[4])];
  if (major === null) return null;
  return { op: found[1] ?? (wild ? '=' : '^'), major, minor, patch, pre: found[5] ?? '' };
}

const exact = (c, v) =>
  v.major === c.major && (c.minor === null || v.minor === c.minor) && (c.patch === null || v.patch === c.patch) && v.pre === c.pre;

/* How `v` stands to `c` as far as that is written; 0 where it is within. */
function order(c, v) {
  if (v.major !== c.major) return v.major - c.major;
  if (c.minor === null) return 0;
  if (v.minor !== c.minor) return v.minor - c.minor;
  if (c.patch === null) return 0;
  return v.patch - c.patch || comparePre(v.pre, c.pre);
}

function tilde(c, v) {
  if (v.major !== c.major || (c.minor !== null && v.minor !== c.minor)) return false;
  return c.patch === null || v.patch > c.patch || (v.patch === c.patch && comparePre(v.pre, c.pre) >= 0);
}

function caret(c, v) {
  if (v.major !== c.major) return false;
  if (c.minor === null) return true;
  if (c.patch === null) return c.major > 0 ? v.minor >= c.minor : v.minor === c.minor;
  if (c.major === 0 && v.minor !== c.minor) return false;
  if (c.major === 0 && c.minor === 0 && v.patch !== c.patch) return false;
  if (v.minor !== c.minor) return v.minor > c.minor;
  return v.patch > c.patch || (v.patch === c.patch && comparePre(v.pre, c.pre) >= 0);
}

function holds(c, v) {
  switch (c.op) {
    case '=': return exact(c, v);
    case '>': return order(c, v) > 0;
    case '>=': return exact(c, v) || order(c, v) > 0;
    case '<': return order(c, v) < 0;
    case '<=': return exact(c, v) || order(c, v) < 0;
    case '~': return tilde(c, v);
    default: return caret(c, v);
  }
}

function inRange(comparators, v) {
  if (!comparators.every((c) => holds(c, v))) return false;
  const named = (c) => c.pre !== '' && c.major === v.major && c.minor === v.minor && c.patch === v.patch;
  return v.pre === '' || comparators.some(named);
}

const fits = (wanted, v) => inRange(wanted.comparators, v) || (wanted.also && inRange(wanted.comparators, { ...v, pre: '' }));

/* Those of `versions` that will do. */
export function fitting(wanted, versions) {
  const fit = versions.filter((one) => fits(wanted, one));
  if (wanted.kind === 'range' || fit.length === 0) return fit;
  const newest = fit.reduce((best, one) => (compare(one, best) > 0 ? one : best));
  const same = (one) => one.major === newest.major && one.minor === newest.minor;
  return fit.filter((one) => (wanted.kind === 'latest' ? compare(one, newest) === 0 : same(one)));
}
