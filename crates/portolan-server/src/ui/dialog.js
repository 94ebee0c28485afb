/*
 * Questions before something is changed; and a line that says what was done.
 *
 * In:  what is asked, and what to do. Out: it was done, or why not, in the dialog itself.
 *
 * Never: closes on a failure; does anything before it was confirmed.
 */
import { h, replace } from './dom.js';

/* Opens a dialog with these contents; gives it. It is closed by Esc, and the focus goes back by itself. */
export function open(title, contents) {
  const dialog = h('dialog', { 'aria-labelledby': 'dialog-title' }, h('h2', { id: 'dialog-title' }, title), contents);
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/*
 * Asks, and runs `act(reason)` when it is confirmed. `danger`: the button says so, and is not the one that Enter presses at
 * once. `reason`: the label of a field, where there is one.
 */
export function confirm({ title, text, verb, danger = false, reason = null, act, done }) {
  const field = reason === null ? null : h('input', { type: 'text', id: 'reason', autocomplete: 'off', maxlength: 300 });
  const failed = h('p', { class: 'failed', role: 'alert' });
  const cancel = h('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel');
  const go = h('button', { type: 'submit', class: danger ? 'danger' : 'primary' }, verb);
  const form = h(
    'form',
    { on: { submit: (event) => { event.preventDefault(); run(); } } },
    text.map((one) => h('p', {}, one)),
    field === null ? null : h('label', { for: 'reason' }, reason, field),
    failed,
    h('div', { class: 'buttons' }, cancel, go),
  );
  const dialog = open(title, form);
  (field ?? (danger ? cancel : go)).focus();

  async function run() {
    go.disabled = true;
    replace(failed);
    try {
      await act(field?.value.trim() ?? '');
      dialog.close();
      notice(done);
    } catch (error) {
      replace(failed, sayWhy(error));
      go.disabled = false;
    }
  }
}

/* A failure in plain words. */
export function sayWhy(error) {
  if (error.kind === 'denied') return `The registry refused: ${error.message}. The token in use may not do this; give another with “Token” at the top.`;
  if (error.kind === 'unreachable' || error.kind === 'late') return `It is not known whether it was done: ${error.message}. Look again once the registry answers.`;
  return `It was not done: ${error.message}`;
}

let timer = 0;

/* Says something for a while. */
export function notice(message) {
  const place = document.getElementById('notice');
  replace(place, h('span', { class: 'toast' }, message));
  clearTimeout(timer);
  timer = setTimeout(() => replace(place), 8000);
}
