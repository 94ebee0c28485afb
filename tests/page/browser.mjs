/*
 * A headless Chromium, driven through its DevTools protocol over a pipe: no library, no port.
 *
 * In:  the path of a Chromium. Out: pages that can be looked at, clicked in and typed into, by mouse and by keyboard.
 *
 * Never: outlives `close`; misses an error that the page logged.
 *
 * Rules: chromedevtools.github.io/devtools-protocol, `--remote-debugging-pipe`: JSON texts, each ended by a zero byte.
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { until } from './api.mjs';

const PATIENCE = 60_000;
const KEYS = { Tab: 9, Enter: 13, Escape: 27, ' ': 32, ArrowUp: 38, ArrowDown: 40, Home: 36, End: 35, PageUp: 33, PageDown: 34, '/': 191, Backspace: 8 };

export class Browser {
  static async launch(path) {
    const browser = new Browser();
    browser.place = await mkdtemp(join(tmpdir(), 'portolan-page-'));
    const args = ['--headless=new', '--remote-debugging-pipe', `--user-data-dir=${browser.place}`, '--no-first-run', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--disable-background-networking', '--disable-component-update', '--disable-extensions', '--hide-scrollbars', '--force-color-profile=srgb', 'about:blank'];
    browser.child = spawn(path, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    browser.ended = new Promise((resolve) => browser.child.once('exit', resolve));
    browser.child.once('error', (error) => browser.fail(error));
    browser.ended.then((code) => browser.fail(new Error(`Chromium ended with ${code}`)));
    browser.listen();
    const { product } = await browser.send('Browser.getVersion');
    browser.product = product;
    return browser;
  }

  constructor() {
    this.waiting = new Map();
    this.listeners = new Map();
    this.next = 1;
    this.pages = new Map();
  }

  fail(error) {
    this.failed = error;
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  listen() {
    let rest = '';
    const pipe = this.child.stdio[4];
    pipe.setEncoding('utf8');
    pipe.on('data', (part) => {
      const texts = (rest + part).split('\0');
      rest = texts.pop();
      for (const text of texts) this.take(JSON.parse(text));
    });
    pipe.on('error', (error) => this.fail(error));
    this.child.stdio[3].on('error', (error) => this.fail(error));
  }

  take(message) {
    if (message.id !== undefined) {
      const asked = this.waiting.get(message.id);
      this.waiting.delete(message.id);
      if (message.error) asked?.reject(new Error(`${asked.method}: ${message.error.message}`));
      else asked?.resolve(message.result);
      return;
    }
    this.pages.get(message.sessionId)?.on(message.method, message.params);
  }

  send(method, params = {}, sessionId = undefined) {
    if (this.failed) return Promise.reject(this.failed);
    const id = this.next;
    this.next += 1;
    return new Promise((resolve, reject) => {
      const late = setTimeout(() => {
        this.waiting.delete(id);
        reject(new Error(`${method}: no answer within ${PATIENCE / 1000} s`));
      }, PATIENCE);
      const done = (run) => (value) => {
        clearTimeout(late);
        run(value);
      };
      this.waiting.set(id, { method, resolve: done(resolve), reject: done(reject) });
      this.child.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    });
  }

  async open() {
    const { browserContextId } = await this.send('Target.createBrowserContext');
    const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', browserContextId });
    const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
    const page = new Page(this, sessionId, targetId);
    this.pages.set(sessionId, page);
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await page.send(`${domain}.enable`);
    return page;
  }

  async close() {
    if (!this.failed) await Promise.race([this.send('Browser.close').catch(() => {}), this.ended]);
    const kill = setTimeout(() => this.child.kill('SIGKILL'), 5000);
    await this.ended;
    clearTimeout(kill);
    await rm(this.place, { recursive: true, force: true, maxRetries: 5 });
  }
}

export class Page {
  constructor(browser, session, target) {
    Object.assign(this, { browser, session, target });
    /* What the page logged that a person would have to look at, and where it asked for something. */
    this.errors = [];
    this.asked = [];
    this.failedAsAsked = false;
  }

  send(method, params) {
    return this.browser.send(method, params, this.session);
  }

  on(method, params) {
    if (method === 'Runtime.exceptionThrown') this.errors.push(`exception: ${params.exceptionDetails.exception?.description ?? params.exceptionDetails.text}`);
    if (method === 'Runtime.consoleAPICalled' && ['error', 'warning', 'assert'].includes(params.type)) this.errors.push(`console.${params.type}: ${params.args.map((one) => one.value ?? one.description).join(' ')}`);
    if (method === 'Log.entryAdded' && ['error', 'warning'].includes(params.entry.level)) this.errors.push(`log: ${params.entry.text} ${params.entry.url ?? ''}`);
    if (method === 'Network.requestWillBeSent') this.asked.push(params.request.url);
  }

  /* The errors since the last call, but for those that match: a request that is refused is logged by the browser itself. */
  takeErrors(...known) {
    const found = this.errors.filter((error) => !known.some((one) => one.test(error)));
    this.errors = [];
    return found;
  }

  /* The value of an expression in the page. */
  async run(expression) {
    const { result, exceptionDetails } = await this.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(`in the page: ${exceptionDetails.exception?.description ?? exceptionDetails.text} (${expression.slice(0, 200)})`);
    return result.value;
  }

  /* The same of a function with arguments. */
  call(run, ...args) {
    return this.run(`(${run})(${args.map((one) => JSON.stringify(one)).join(', ')})`);
  }

  async size(width, height, theme) {
    await this.send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false });
    await this.send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: theme }, { name: 'prefers-reduced-motion', value: 'reduce' }] });
  }

  async goto(url) {
    const { errorText } = await this.send('Page.navigate', { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
  }

  /* Waits until the expression is true in the page. */
  until(what, expression, within) {
    return until(what, () => this.run(expression), within);
  }

  /* Waits until the text of the page contains this. */
  untilText(text, within) {
    return this.until(`the page says “${text}”`, `document.body.innerText.includes(${JSON.stringify(text)})`, within);
  }

  /* Clicks in the middle of what `find(argument)`, run in the page, gives; looked up anew each time until it is there. */
  async clickAt(what, find, argument) {
    const at = await until(`${what} can be clicked`, () => this.run(`((element) => {
      if (!element) return null;
      element.scrollIntoView({ block: 'center' });
      const box = element.getBoundingClientRect();
      return box.width > 0 ? { x: box.x + box.width / 2, y: box.y + box.height / 2 } : null;
    })((${find})(${JSON.stringify(argument)}))`));
    for (const type of ['mousePressed', 'mouseReleased']) await this.send('Input.dispatchMouseEvent', { type, ...at, button: 'left', clickCount: 1 });
  }

  click(selector) {
    return this.clickAt(selector, (selector) => document.querySelector(selector), selector);
  }

  /* Clicks the button or link with this text; in a dialog, where there is one. */
  clickText(text) {
    return this.clickAt(`“${text}”`, (text) => {
      const there = (one) => one.textContent.trim() === text && one.getClientRects().length > 0;
      return [...document.querySelectorAll('dialog button, dialog a')].find(there) ?? [...document.querySelectorAll('button, a')].find(there);
    }, text);
  }

  /* Presses a button until it has opened what it should: one that is made anew in that moment takes no click. */
  async opens(button, text) {
    await until(`“${button}” opens “${text}”`, async () => {
      await this.clickText(button);
      return this.run(`document.body.innerText.includes(${JSON.stringify(text)})`);
    });
  }

  async key(name, modifiers = 0) {
    const code = KEYS[name];
    const text = name === 'Enter' ? '\r' : name.length === 1 ? name : undefined;
    await this.send('Input.dispatchKeyEvent', { type: text ? 'keyDown' : 'rawKeyDown', key: name, code: name, windowsVirtualKeyCode: code, text, modifiers });
    await this.send('Input.dispatchKeyEvent', { type: 'keyUp', key: name, code: name, windowsVirtualKeyCode: code, modifiers });
  }

  type(text) {
    return this.send('Input.insertText', { text });
  }

  /* What has the focus, as a person would name it. */
  focused() {
    return this.run(`(() => { const one = document.activeElement; return one === null ? '' : [one.tagName.toLowerCase(), one.getAttribute('aria-label') ?? one.textContent.trim().slice(0, 60)].join(' '); })()`);
  }

  async shot(file) {
    const { data } = await this.send('Page.captureScreenshot', { format: 'png' });
    await writeFile(file, Buffer.from(data, 'base64'));
  }
}
