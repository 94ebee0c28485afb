/*
 * Numbers, times and names as people read them. PURE.
 *
 * In:  values. Out: texts. Times are this browser's clock.
 */

const whole = new Intl.NumberFormat('en');

/* `10,000`. */
export const count = (number) => whole.format(number);

/* `1 service`, `2 services`. */
export const many = (number, one, more = `${one}s`) => `${count(number)} ${number === 1 ? one : more}`;

/* `14:02:11`. */
export function clock(milliseconds) {
  const at = new Date(milliseconds);
  const two = (number) => String(number).padStart(2, '0');
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}

/* How long: `4 s`, `3 min`, `2 h 5 min`. */
export function span(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return minutes % 60 === 0 ? `${hours} h` : `${hours} h ${minutes % 60} min`;
}

/* How names are sorted: `web-10` after `web-9`. Made once: it is asked ten thousand times. */
export const byName = new Intl.Collator('en', { numeric: true }).compare;

/* The words of a search, each of which must be found. */
export const terms = (query) => query.toLowerCase().split(/\s+/).filter(Boolean);

/* Whether each word is found in the text, which is in lower case. */
export const found = (words, text) => words.every((word) => text.includes(word));

/* The first line, as far as it is worth one. */
export function line(text, most = 160) {
  const first = String(text ?? '').trim().split('\n', 1)[0];
  return first.length > most ? `${first.slice(0, most)}…` : first;
}

/* A path of the registry's interface from parts that may hold anything. */
export const path = (...parts) => `/v1/${parts.map(encodeURIComponent).join('/')}`;

/* `host:port`, with brackets around an IPv6 address. */
export function authority(address, port) {
  const host = address.includes(':') ? `[${address}]` : address;
  return port > 0 ? `${host}:${port}` : host;
}
