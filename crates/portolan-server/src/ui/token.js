/*
 * The token that this tab shows the registry.
 *
 * In:  what the user types. Out: it is sent with each request (`X-Consul-Token`), and forgotten with the tab.
 *
 * Never: puts it into the address, the page's text or storage that outlives the tab.
 */
import { h, replace } from './dom.js';
import { read, setToken, token } from './api.js';
import { open, notice } from './dialog.js';
import { restartAll } from './live.js';
import { forget } from './store.js';

const button = document.getElementById('token');

function shown() {
  button.dataset.set = String(token() !== '');
  replace(button, token() === '' ? 'Token' : 'Token set');
}

function use(value) {
  setToken(value);
  shown();
  forget();
  restartAll();
}

/* Whether the registry knows it: a text for the user, or null where all is well. */
async function doubt() {
  try {
    await read('/v1/acl/token/self');
    return null;
  } catch (error) {
    if (error.status === 401) return 'This registry has no access rules, so no token is needed.';
    if (error.status === 403 || error.status === 404) return 'The registry does not know this token.';
    return `It could not be tried: ${error.message}`;
  }
}

function ask() {
  const field = h('input', { type: 'password', id: 'secret', autocomplete: 'off', spellcheck: 'false', value: token() });
  const says = h('p', { class: 'failed', role: 'alert' });
  const form = h(
    'form',
    { on: { submit: (event) => { event.preventDefault(); keep(); } } },
    h('p', {}, 'The secret id of an ACL token. It is sent to this registry only, and forgotten when this tab is closed.'),
    h('label', { for: 'secret' }, 'Token', field),
    says,
    h('div', { class: 'buttons' },
      h('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel'),
      h('button', { type: 'button', on: { click: () => { use(''); dialog.close(); notice('The token is forgotten.'); } } }, 'Forget'),
      h('button', { type: 'submit', class: 'primary' }, 'Use')),
  );
  const dialog = open('Access token', form);
  field.focus();

  async function keep() {
    use(field.value);
    const why = token() === '' ? null : await doubt();
    if (why !== null) {
      replace(says, why);
      return;
    }
    dialog.close();
    notice(token() === '' ? 'No token is used.' : 'The token is in use.');
  }
}

/* Makes the button work. */
export function start() {
  shown();
  button.addEventListener('click', ask);
}
