/*
 * Starts the page, and shows the view that the address names.
 *
 * In:  the part of the address behind `#`. Out: one view at a time in `main`; the others have stopped asking.
 */
import { h, replace } from './dom.js';
import { parse } from './route.js';
import * as store from './store.js';
import * as pulse from './pulse.js';
import * as token from './token.js';
import { services } from './services.js';
import { service } from './service.js';
import { instance } from './instance.js';
import { nodes } from './nodes.js';
import { node } from './node.js';
import { graph } from './graph.js';
import { keys } from './keys.js';
import { changes } from './changes.js';

const main = document.getElementById('main');

/* A view: `{ title, element, update(), end() }`; `update` is called at each change of the store. */
function choose({ parts, query }) {
  const [name = 'services', ...rest] = parts;
  if (name === 'services' && rest.length === 0) return services(query);
  if (name === 'services' && rest.length === 1) return service(rest[0], query);
  if (name === 'services' && rest.length === 3) return instance(...rest);
  if (name === 'nodes' && rest.length === 0) return nodes(query);
  if (name === 'nodes' && rest.length === 1) return node(rest[0]);
  if (name === 'graph') return graph(query);
  if (name === 'keys') return keys(query);
  if (name === 'changes') return changes(query);
  return { title: 'Not here', element: h('section', {}, h('h1', {}, 'There is no such view'), h('p', {}, h('a', { href: '#/services' }, 'All services'))) };
}

let view = null;
let first = true;

function go() {
  // A click on “Skip to the content” is no place.
  if (location.hash === '#main') {
    history.replaceState(null, '', '#/services');
    main.focus();
    return;
  }
  const place = parse(location.hash);
  const before = view;
  view = choose(place);
  before?.end?.();
  replace(main, view.element);
  document.title = `${view.title} · Portolan`;
  for (const link of document.querySelectorAll('nav a')) {
    const here = link.dataset.view === (place.parts[0] ?? 'services');
    if (here) link.setAttribute('aria-current', 'page');
    else link.removeAttribute('aria-current');
  }
  view.update?.();
  if (!first) {
    scrollTo(0, 0);
    // Who cannot see that the page has changed hears where they are now.
    const title = main.querySelector('h1');
    title?.setAttribute('tabindex', '-1');
    title?.focus({ preventScroll: true });
  }
  first = false;
}

function themes() {
  const button = document.getElementById('theme');
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const now = () => document.documentElement.dataset.theme ?? (dark.matches ? 'dark' : 'light');
  const show = () => {
    button.dataset.now = now();
    button.setAttribute('aria-label', now() === 'dark' ? 'Use the light theme' : 'Use the dark theme');
    button.title = button.getAttribute('aria-label');
  };
  button.addEventListener('click', () => {
    const next = now() === 'dark' ? 'light' : 'dark';
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem('portolan-theme', next);
    } catch {
      // Storage may be forbidden: then it lasts as long as the page.
    }
    show();
  });
  dark.addEventListener('change', show);
  show();
}

store.onChange(() => view?.update?.());
addEventListener('hashchange', go);
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  main.focus();
});
themes();
token.start();
go();
store.start();
pulse.start();
