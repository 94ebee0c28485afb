/*
 * The graph of dependencies, drawn; and the same as a table.
 *
 * In:  the graph; which service is in the middle, from the address. Out: an SVG whose boxes lead to their services. What is
 * unmet is dashed and says so, circles are marked.
 */
import { h, s, text, replace } from './dom.js';
import { store } from './store.js';
import { address } from './route.js';
import { layout, BOX } from './layout.js';
import { shape } from './status.js';
import { useGraph } from './graph-data.js';
import { clock, count, many } from './words.js';

/* A drawing of more boxes helps nobody. */
const MOST = 250;
/* How far below an arrow its counterpart goes. */
const BACK = 14;
const LABEL = 17;

/* Those from which a name is reached, and which it reaches. PURE. */
export function around(name, graph) {
  const reach = (from, to) => {
    const found = new Set([name]);
    for (const at of found) for (const edge of graph.edges) if (edge[from] === at) found.add(edge[to]);
    return found;
  };
  const all = new Set([...reach('from', 'to'), ...reach('to', 'from')]);
  return { ...graph, names: graph.names.filter((one) => all.has(one)), edges: graph.edges.filter((edge) => all.has(edge.from) && all.has(edge.to)) };
}

const stateOf = (edge) => (edge.lack === undefined ? 'unknown' : edge.lack === null ? 'met' : edge.need.optional ? 'missed' : 'unmet');
const WORD = { met: 'met', unmet: 'unmet', missed: 'unmet, optional', unknown: 'not known' };
const short = (name) => (name.length > LABEL ? `${name.slice(0, LABEL - 1)}…` : name);

function box(name, place, middle) {
  const known = store.summary.services.get(name);
  const status = known?.status ?? 'unregistered';
  const words = known === undefined ? 'not registered' : known.known === 0 ? 'no checks' : `${count(known.counts.passing)} of ${count(known.known)} passing`;
  const [x, y] = [place.x - BOX.width / 2, place.y - BOX.height / 2];
  return s('a', { href: address(['services', name]), class: `box ${status}${name === middle ? ' middle' : ''}` },
    short(name) === name ? null : s('title', {}, name),
    s('rect', { x, y, width: BOX.width, height: BOX.height, rx: 8, class: 'frame' }),
    s('rect', { x, y: y + 8, width: 4, height: BOX.height - 16, rx: 2, class: 'stripe' }),
    s('text', { x: x + 16, y: place.y - 4, class: 'label' }, short(name)),
    s('text', { x: x + 16, y: place.y + 14, class: 'words' }, words));
}

/* A curve through points, level at each. */
function curve(points) {
  const [first, ...rest] = points;
  let before = first;
  return rest.reduce((d, point) => {
    const half = (point.x - before.x) / 2;
    const part = `C${before.x + half} ${before.y} ${point.x - half} ${point.y} ${point.x} ${point.y}`;
    before = point;
    return `${d}${part}`;
  }, `M${first.x} ${first.y}`);
}

function line({ arrow, points, turned }) {
  const state = stateOf(arrow);
  const marks = [arrow.circle && !turned ? 'cycle' : null, state === 'met' ? null : WORD[state]].filter(Boolean).join(', ');
  // One that goes back runs below the one that goes there.
  const ends = turned ? points.map((point) => ({ ...point, y: point.y + BACK })) : points;
  const [one, other] = [ends[Math.floor((ends.length - 1) / 2)], ends[Math.ceil(ends.length / 2)]];
  const middle = { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
  return s('g', { class: `line ${state}${arrow.circle ? ' circle' : ''}${arrow.need.optional ? ' optional' : ''}` },
    s('title', {}, `${arrow.from} needs ${arrow.need.text}: ${arrow.lack ?? WORD[state]}`),
    s('path', { d: curve(ends), class: 'way', 'marker-end': `url(#arrow-${arrow.circle || state === 'unmet' ? 'bad' : 'plain'})` }),
    marks === '' ? null : s('text', { x: middle.x, y: middle.y + (turned ? 16 : -6), 'text-anchor': 'middle', class: 'mark' }, marks));
}

const head = (id) => s('marker', { id, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto' }, s('path', { d: 'M0 0 8 4 0 8z' }));

function drawing(graph, middle) {
  const { boxes, lines, width, height } = layout(graph.names, graph.edges);
  const own = graph.edges.filter((edge) => edge.from === edge.to);
  const svg = s('svg', { viewBox: `-12 -16 ${width + 24} ${height + 32}`, width: width + 24, height: height + 32, class: 'drawing', role: 'group', 'aria-label': 'Who needs whom, from left to right' },
    s('defs', {}, head('arrow-plain'), head('arrow-bad')),
    lines.map(line),
    [...boxes].map(([name, place]) => box(name, place, middle)),
    own.map((edge) => {
      const at = boxes.get(edge.from);
      return s('text', { x: at.x + BOX.width / 2 - 8, y: at.y - 8, 'text-anchor': 'end', class: 'mark own' }, 'needs itself');
    }));
  // It becomes smaller where that lets all of it be seen, but not so small that nobody can read it.
  svg.style.maxWidth = '100%';
  svg.style.minWidth = `${Math.round((width + 24) * 0.66)}px`;
  return h('div', { class: 'canvas', tabindex: '0', role: 'region', 'aria-label': 'Drawing of the dependencies' }, svg);
}

function table(graph) {
  const rank = { unmet: 0, missed: 1, unknown: 2, met: 3 };
  const edges = [...graph.edges].sort((one, other) => rank[stateOf(one)] - rank[stateOf(other)] || one.from.localeCompare(other.from));
  const link = (name) => h('a', { href: address(['services', name]) }, name);
  const rows = edges.map((edge) => h('tr', {},
    h('th', { scope: 'row' }, link(edge.from)),
    h('td', {}, link(edge.to), edge.need.text === edge.to ? null : h('span', { class: 'mono faint' }, ` ${edge.need.text}`)),
    h('td', {}, h('span', { class: `need ${stateOf(edge)}` }, WORD[stateOf(edge)]), edge.lack ? h('span', { class: 'faint' }, ` ${edge.lack}`) : null, edge.circle ? h('span', { class: 'need unmet' }, ' in a cycle') : null)));
  return h('div', { class: 'wide', tabindex: '0', role: 'region', 'aria-label': 'All needs' },
    h('table', {}, h('thead', {}, h('tr', {}, ['Service', 'Needs', 'State'].map((title) => h('th', { scope: 'col' }, title)))), h('tbody', {}, rows)));
}

export function graph(query) {
  const middle = query.service ?? null;
  const told = h('p', { class: 'told', role: 'status' }, 'Reading…');
  const body = h('div');
  const source = useGraph(update);
  let shown = '';
  const trail = middle === null ? null : h('nav', { class: 'trail', 'aria-label': 'Where you are' }, h('a', { href: '#/graph' }, 'Dependencies'), h('span', { 'aria-hidden': 'true' }, '›'));
  const element = h('section', { class: 'view' }, trail, h('div', { class: 'title' }, h('h1', {}, middle ?? 'Dependencies'), told), body);

  function update() {
    const { progress, failure, readAt } = source.data;
    const whole = source.graph();
    if (whole === null) {
      text(told, failure ? `Not read: ${failure.message}` : progress ? `Reading, ${progress.done} of ${progress.of}…` : 'Reading…');
      return;
    }
    const part = middle === null ? whole : around(middle, whole);
    const unmet = part.edges.filter((edge) => stateOf(edge) === 'unmet').length;
    const rings = part.rings.filter((ring) => ring.some((name) => part.names.includes(name)));
    const stale = failure ? `; not read again: ${failure.message}` : '';
    text(told, [many(part.edges.length, 'need'), `${count(unmet)} unmet`, many(rings.length, 'cycle'), `declarations of ${clock(readAt)}`].join(', ') + stale);
    const now = JSON.stringify([part, part.names.map((name) => store.summary.services.get(name))]);
    if (now === shown) return;
    shown = now;
    const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
    const place = body.querySelector('.canvas')?.scrollLeft ?? 0;
    replace(body, part.edges.length === 0 ? nothing() : contents(part, rings));
    const canvas = body.querySelector('.canvas');
    if (canvas !== null) canvas.scrollLeft = place;
    if (focused !== null) [...body.querySelectorAll('a')].find((one) => one.getAttribute('href') === focused)?.focus();
  }

  function contents(part, rings) {
    const drawn = part.names.length <= MOST ? drawing(part, middle) : h('p', {}, `${many(part.names.length, 'service')} are too many to draw: open one, and “Dependencies” there draws what is around it.`);
    const findings = [
      ...part.edges.filter((edge) => stateOf(edge) === 'unmet').map((edge) => h('li', {}, shape('critical'), ' ', h('strong', {}, edge.from), ` needs ${edge.need.text}: ${edge.lack}`)),
      ...rings.map((ring) => h('li', {}, shape('critical'), ' ', h('strong', {}, 'Cycle'), `: ${ring.join(', ')} need each other, so none of them can be first`)),
      ...part.unreadable.map((one) => h('li', {}, shape('warning'), ' ', h('strong', {}, one.service), ` declares “${one.text}”, which cannot be read`)),
    ];
    return [drawn, findings.length === 0 ? null : [h('h2', {}, 'Not in order'), h('ul', { class: 'findings' }, findings)], h('h2', {}, 'All needs'), table(part)];
  }

  function nothing() {
    return h('div', { class: 'empty' },
      h('p', {}, middle === null ? 'No service declares what it needs.' : `Nothing needs ${middle}, and it declares no needs.`),
      h('p', {}, 'A service declares it in its meta:'),
      h('pre', { class: 'code', tabindex: '0' }, 'portolan register shop --port 8080 --meta portolan-needs="db@^14; cache?"'));
  }

  return { title: middle === null ? 'Dependencies' : `Dependencies of ${middle}`, element, update, end: source.end };
}
