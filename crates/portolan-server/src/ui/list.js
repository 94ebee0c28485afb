/*
 * A long list of which only what is seen is in the page: 10,000 rows scroll like ten.
 *
 * In:  items, and how one becomes cells. Out: a grid that scrolls with the page; arrow keys, Home, End and Page keys go
 * through it, Tab leaves it.
 *
 * Never: builds a row that is not near the window; loses the focus at an update.
 */
import { h, replace } from './dom.js';

/* Rows beyond each edge of the window. */
const BEYOND = 8;
const narrow = matchMedia('(max-width: 640px)');

/*
 * `columns`: `{ title, class }` of each. `row(item)`: the contents of its cells, the first with a link. `id(item)`: what tells
 * it from others. `mark(item)`: a text; a row whose text changed is shown for a moment.
 */
export function windowed({ label, name, columns, row, id, mark }) {
  const head = h('div', { class: 'row head', role: 'row' }, columns.map((one) => h('span', { role: 'columnheader', class: `cell ${one.class}` }, one.title)));
  const body = h('div', { class: 'rows', role: 'rowgroup' });
  const grid = h('div', { class: `grid ${name}`, role: 'grid', 'aria-label': label, 'aria-readonly': 'true' }, h('div', { role: 'rowgroup', class: 'heads' }, head), body);
  const shown = new Map();
  let items = [];
  let current = null;
  let frame = 0;

  const height = () => (narrow.matches ? 68 : 44);

  function build(item, at) {
    const cells = row(item).map((content, place) => h('span', { role: 'gridcell', class: `cell ${columns[place].class}` }, content));
    const element = h('div', { class: 'row', role: 'row', 'aria-rowindex': at + 2 }, cells);
    return element;
  }

  const linkOf = (element) => element.querySelector('a');

  /* Puts what is near the window into the page. */
  function draw() {
    frame = 0;
    if (!grid.isConnected) return;
    const tall = height();
    const top = -body.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / tall) - BEYOND);
    const last = Math.min(items.length, Math.ceil((top + innerHeight) / tall) + BEYOND);
    const wanted = new Set();
    let focused = null;
    for (let at = first; at < last; at += 1) {
      const item = items[at];
      const of = id(item);
      wanted.add(of);
      let known = shown.get(of);
      if (known === undefined || known.item !== item) {
        const element = build(item, at);
        if (known !== undefined) {
          if (known.element.contains(document.activeElement)) focused = element;
          if (known.mark !== mark(item)) element.classList.add('turned');
          known.element.replaceWith(element);
        } else {
          body.append(element);
        }
        known = { item, element, mark: mark(item) };
        shown.set(of, known);
      }
      known.element.style.transform = `translateY(${at * tall}px)`;
      known.element.setAttribute('aria-rowindex', String(at + 2));
      known.at = at;
    }
    for (const [of, known] of shown) {
      if (wanted.has(of) || known.element.contains(document.activeElement)) continue;
      known.element.remove();
      shown.delete(of);
    }
    if (focused !== null) linkOf(focused)?.focus({ preventScroll: true });
    rove();
  }

  /* One link can be reached by Tab: the current one, or the first that is shown. */
  function rove() {
    const there = current !== null && shown.has(current) ? current : items.length > 0 ? [...shown.values()].sort((a, b) => a.at - b.at)[0]?.item : undefined;
    const of = typeof there === 'string' ? there : there === undefined ? null : id(there);
    for (const [at, known] of shown) linkOf(known.element)?.setAttribute('tabindex', at === of ? '0' : '-1');
  }

  function goTo(at) {
    if (at < 0 || at >= items.length) return;
    const tall = height();
    const place = body.getBoundingClientRect().top + at * tall;
    // Below what sticks to the top, above the bottom.
    const above = 150;
    if (place < above) scrollBy(0, place - above);
    else if (place + tall > innerHeight - 16) scrollBy(0, place + tall - innerHeight + 16);
    current = id(items[at]);
    draw();
    const known = shown.get(current);
    if (known !== undefined) linkOf(known.element)?.focus({ preventScroll: true });
  }

  function onKey(event) {
    const known = [...shown.values()].find((one) => one.element.contains(event.target));
    if (known === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(innerHeight / height()) - 4);
    const last = items.length - 1;
    const to = {
      ArrowDown: Math.min(last, known.at + 1),
      ArrowUp: Math.max(0, known.at - 1),
      PageDown: Math.min(last, known.at + page),
      PageUp: Math.max(0, known.at - page),
      Home: 0,
      End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    goTo(to);
  }

  const soon = () => {
    frame ||= requestAnimationFrame(draw);
  };
  const resized = () => {
    body.style.height = `${items.length * height()}px`;
    soon();
  };
  grid.addEventListener('keydown', onKey);
  grid.addEventListener('focusin', (event) => {
    const known = [...shown].find(([, one]) => one.element.contains(event.target));
    if (known !== undefined) [current] = known;
    rove();
  });
  // A click anywhere in a row is one on its link.
  body.addEventListener('click', (event) => {
    if (event.target.closest('a, button') === null && String(getSelection()) === '') event.target.closest('.row')?.querySelector('a')?.click();
  });
  addEventListener('scroll', soon, { passive: true });
  addEventListener('resize', resized);

  return {
    element: grid,
    /* Shows these. */
    set(next) {
      items = next;
      grid.hidden = items.length === 0;
      grid.setAttribute('aria-rowcount', String(items.length + 1));
      body.style.height = `${items.length * height()}px`;
      draw();
      if (shown.size === 0 && items.length > 0) soon();
    },
    end() {
      removeEventListener('scroll', soon);
      removeEventListener('resize', resized);
      cancelAnimationFrame(frame);
      replace(body);
    },
  };
}
