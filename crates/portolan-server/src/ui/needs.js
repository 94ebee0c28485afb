/*
 * What services declare to need, and whether it is there. PURE.
 *
 * In:  meta as it stands in the catalogue (`portolan-needs`, `portolan-needs-2`, …). Out: needs, what cannot be read, what is
 * unmet.
 *
 * Never: takes a part of a declaration for the whole; loses the needs that can be read for one that cannot.
 *
 * Rules: crates/portolan/src/model/{need,declare}.rs, depend/graph/standing.rs.
 */
import { requirement, fitting, versionOf } from './version.js';

export const KEY = 'portolan-needs';
const GOES_ON = '\\';

function partOf(key) {
  if (key === KEY) return 1;
  const found = /^portolan-needs-(\d+)$/.exec(key);
  return found !== null && Number(found[1]) > 1 ? Number(found[1]) : null;
}

/* Texts of needs, at ";", or at "," where none is, but for commas within a requirement. */
function pieces(text) {
  if (text.includes(';')) {
    const parts = text.split(';').map((part) => part.trim());
    if (parts.at(-1) === '') parts.pop();
    return parts;
  }
  return text.trim() === '' ? [] : text.split(/,(?!\s*[<>=^~*])/).map((part) => part.trim());
}

function name(text) {
  if (!/^(?:[A-Za-z0-9_.-]|%[0-9A-Fa-f]{2})+$/.test(text)) return null;
  try {
    return decodeURIComponent(text);
  } catch {
    return null;
  }
}

/* One need: `[DATACENTER/]SERVICE[@REQUIREMENT][:N][?][!]`; null where it cannot be read. */
export function need(text) {
  const found = /^(?:([^/@:?!]+)\/)?([^/@:?!]+)(?:@([^:?!]+))?((?::\d{1,5}|\?|!)*)$/.exec(text);
  if (found === null) return null;
  const [service, datacenter] = [name(found[2]), found[1] === undefined ? null : name(found[1])];
  const wants = found[3] === undefined ? null : requirement(found[3]);
  if (service === null || (found[1] !== undefined && datacenter === null) || (found[3] !== undefined && wants === null)) return null;
  const counts = found[4].match(/:\d+/g) ?? [];
  const marks = found[4].replaceAll(/:\d+/g, '');
  const least = counts.length === 0 ? 1 : Number(counts[0].slice(1));
  if (counts.length > 1 || least < 1 || least > 65535 || /(.).*\1/.test(marks)) return null;
  return { text, service, datacenter, wants, required: found[3] ?? null, least, optional: marks.includes('?') };
}

/* What meta declares: `{ needs, unreadable }`. */
export function declared(meta) {
  const parts = new Map();
  for (const [at, value] of Object.entries(meta ?? {})) {
    const part = partOf(at);
    if (part !== null) parts.set(part, value);
  }
  const unreadable = [];
  if (parts.size === 0) return { needs: [], unreadable };
  let [text, next, goesOn] = ['', 1, true];
  while (goesOn && parts.has(next)) {
    const value = parts.get(next);
    goesOn = value.endsWith(GOES_ON);
    text += goesOn ? value.slice(0, -1) : value;
    next += 1;
  }
  const texts = pieces(text);
  // It may have been cut in the middle of a need, which then reads as another one.
  if (goesOn) unreadable.push(texts.pop() ?? '');
  const read = texts.map((one) => need(one) ?? { text: one, wrong: true });
  unreadable.push(...read.filter((one) => one.wrong).map((one) => one.text));
  return { needs: read.filter((one) => !one.wrong), unreadable };
}

/*
 * What a need lacks, as a text; null when it is met, undefined when that is not known. `known`: `{ known, healthy }` of the
 * service, or undefined where none is registered; `instances`: `{ status, meta, tags }` of each, where they were looked at.
 */
export function lack(one, known, instances) {
  if (known === undefined) return 'no instance is registered';
  if (instances === undefined) return undefined;
  const healthy = instances.filter((instance) => instance.status === 'passing');
  const versions = healthy.map((instance) => versionOf(instance.meta, instance.tags)?.version).filter((version) => version);
  const fit = one.wants === null ? healthy.length : fitting(one.wants, versions).length;
  if (fit >= one.least) return null;
  const match = one.wants === null ? '' : `, ${fit} match ${one.required}`;
  const more = one.least > 1 ? `; ${one.least} are needed` : '';
  return `${instances.length} known, ${healthy.length} healthy${match}${more}`;
}
