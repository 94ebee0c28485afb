/*
 * Makes elements. The only way by which a text of the registry gets into the page.
 *
 * In:  names, attributes, children. Out: elements.
 *
 * Never: reads a text as HTML. Children that are not elements become text nodes; only attributes that can carry no script
 * are set, and a link leads nowhere but into this page.
 */

const SVG = 'http://www.w3.org/2000/svg';

/* Attributes whose value a registry's text may stand in. */
const PLAIN = /^(class|id|role|type|name|for|value|title|placeholder|autocomplete|tabindex|open|hidden|disabled|scope|lang|spellcheck|maxlength|rows|cols|selected|checked|(aria|data)-[a-z-]+)$/;
const DRAWN = /^(class|role|tabindex|viewBox|width|height|d|x|y|rx|r|cx|cy|points|transform|text-anchor|marker-end|fill|preserveAspectRatio|id|orient|refX|refY|markerWidth|markerHeight|markerUnits|dominant-baseline|(aria|data)-[a-z-]+)$/;

function put(element, attributes, allowed) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'on') {
      for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
    } else if (name === 'href') {
      if (!String(value).startsWith('#')) throw new Error(`a link out of the page: ${value}`);
      element.setAttribute('href', value);
    } else if (allowed.test(name)) {
      element.setAttribute(name, value === true ? '' : String(value));
    } else {
      throw new Error(`the attribute ${name} is not set here`);
    }
  }
}

function fill(element, children) {
  for (const child of children.flat(3)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return element;
}

/* An HTML element: `h('p', { class: 'note' }, 'text', element)`. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  put(element, attributes, PLAIN);
  return fill(element, children);
}

/* An SVG element. */
export function s(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  put(element, attributes, DRAWN);
  return fill(element, children);
}

/* Puts children in the place of those that are there. */
export function replace(element, ...children) {
  element.replaceChildren();
  return fill(element, children);
}

/* Sets a text, where it is another: an unchanged one is not read out again. */
export function text(element, value) {
  if (element.textContent !== value) element.textContent = value;
}

/*
 * A place whose contents are made anew only when what they show is different: what a user holds, selects or presses there stays.
 * Gives a function of what is shown and how it is made.
 */
export function slot(element) {
  let shown;
  return (what, build) => {
    const now = JSON.stringify(what ?? null);
    if (now === shown) return;
    shown = now;
    const held = element.contains(document.activeElement) ? document.activeElement.textContent : null;
    replace(element, build());
    if (held !== null) [...element.querySelectorAll('button, a, [tabindex]')].find((one) => one.textContent === held)?.focus();
  };
}
