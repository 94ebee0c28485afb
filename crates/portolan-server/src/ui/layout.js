/*
 * Where the boxes of a graph stand: in layers, who needs left of what is needed. PURE.
 *
 * In:  names, and arrows between them. Out: a place for each, and points for each arrow.
 *
 * An arrow that closes a circle is laid out as if it went the other way; one over several layers gets a place in each, so that
 * it goes around the boxes between. The order within a layer is that of the neighbours' average, a few times to and fro
 * (Sugiyama, Tagawa, Toda 1981).
 */

export const BOX = { width: 190, height: 48 };
const GAP = { across: 90, down: 22 };
const SWEEPS = 8;
const BEND = Symbol('bend');

/* Strongly connected parts, of more than one or with an arrow to themselves: the circles. Tarjan's, without recursion. */
export function circles(names, arrows) {
  const out = new Map(names.map((name) => [name, []]));
  for (const { from, to } of arrows) out.get(from)?.push(to);
  const [index, low, onStack, stack, found] = [new Map(), new Map(), new Set(), [], []];
  for (const root of names) {
    if (index.has(root)) continue;
    const open = [[root, 0]];
    while (open.length > 0) {
      const frame = open.at(-1);
      const [at] = frame;
      if (frame[1] === 0) {
        index.set(at, index.size);
        low.set(at, index.get(at));
        stack.push(at);
        onStack.add(at);
      }
      const next = out.get(at)[frame[1]];
      if (next !== undefined) {
        frame[1] += 1;
        if (!index.has(next)) open.push([next, 0]);
        else if (onStack.has(next)) low.set(at, Math.min(low.get(at), index.get(next)));
        if (frame[1] === 0) frame[1] = 1;
        continue;
      }
      open.pop();
      if (open.length > 0) low.set(open.at(-1)[0], Math.min(low.get(open.at(-1)[0]), low.get(at)));
      if (low.get(at) !== index.get(at)) continue;
      const part = stack.splice(stack.indexOf(at));
      part.forEach((one) => onStack.delete(one));
      if (part.length > 1 || out.get(at).includes(at)) found.push(part.sort());
    }
  }
  return found;
}

/* Arrows with those that close a circle turned round; to itself: left out. */
function acyclic(names, arrows) {
  const out = new Map(names.map((name) => [name, []]));
  const all = arrows.filter(({ from, to }) => from !== to).map((arrow) => ({ ...arrow, turned: false }));
  for (const arrow of all) out.get(arrow.from).push(arrow);
  const state = new Map();
  for (const root of names) {
    if (state.has(root)) continue;
    const open = [[root, 0]];
    state.set(root, 'open');
    while (open.length > 0) {
      const frame = open.at(-1);
      const arrow = out.get(frame[0])[frame[1]];
      frame[1] += 1;
      if (arrow === undefined) {
        state.set(frame[0], 'done');
        open.pop();
      } else if (state.get(arrow.to) === 'open') {
        arrow.turned = true;
      } else if (!state.has(arrow.to)) {
        state.set(arrow.to, 'open');
        open.push([arrow.to, 0]);
      }
    }
  }
  return all.map((arrow) => (arrow.turned ? { ...arrow, from: arrow.to, to: arrow.from } : arrow));
}

/* The longest way to each from where nothing leads. */
function layersOf(names, arrows) {
  const layer = new Map(names.map((name) => [name, 0]));
  const left = new Map(names.map((name) => [name, 0]));
  const out = new Map(names.map((name) => [name, []]));
  for (const { from, to } of arrows) {
    out.get(from).push(to);
    left.set(to, left.get(to) + 1);
  }
  const ready = names.filter((name) => left.get(name) === 0);
  for (const at of ready) {
    for (const to of out.get(at)) {
      layer.set(to, Math.max(layer.get(to), layer.get(at) + 1));
      left.set(to, left.get(to) - 1);
      if (left.get(to) === 0) ready.push(to);
    }
  }
  return layer;
}

/* Layers as lists of places, with a bend in each layer that an arrow passes. */
function places(names, arrows, layer) {
  const layers = [];
  const put = (name, at) => {
    const place = { name, at, before: [], after: [], y: 0 };
    (layers[at] ??= []).push(place);
    return place;
  };
  const of = new Map(names.map((name) => [name, put(name, layer.get(name))]));
  const ways = arrows.map((arrow) => {
    const way = [of.get(arrow.from)];
    for (let at = layer.get(arrow.from) + 1; at < layer.get(arrow.to); at += 1) way.push(put(BEND, at));
    way.push(of.get(arrow.to));
    for (let at = 1; at < way.length; at += 1) {
      way[at - 1].after.push(way[at]);
      way[at].before.push(way[at - 1]);
    }
    return { arrow, way };
  });
  return { layers, of, ways };
}

const average = (numbers) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;

function order(layers) {
  const number = (layer) => layer.forEach((place, rank) => { place.rank = rank; });
  layers.forEach(number);
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const down = sweep % 2 === 0;
    for (const layer of down ? layers : [...layers].reverse()) {
      for (const place of layer) {
        const near = down ? place.before : place.after;
        place.wish = near.length > 0 ? average(near.map((one) => one.rank)) : place.rank;
      }
      layer.sort((one, other) => one.wish - other.wish || one.rank - other.rank);
      number(layer);
    }
  }
}

const tall = (place) => (place.name === BEND ? 12 : BOX.height);

/* Heights: near the neighbours', never over each other. */
function settle(layers) {
  const apart = (one, other) => (tall(one) + tall(other)) / 2 + GAP.down;
  for (const layer of layers) layer.forEach((place, rank) => { place.y = rank === 0 ? 0 : layer[rank - 1].y + apart(layer[rank - 1], place); });
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    for (const layer of sweep % 2 === 0 ? layers : [...layers].reverse()) {
      const wish = layer.map((place) => {
        const near = [...place.before, ...place.after];
        return near.length > 0 ? average(near.map((one) => one.y)) : place.y;
      });
      const [low, high] = [[], []];
      layer.forEach((place, rank) => { low[rank] = rank === 0 ? wish[0] : Math.max(wish[rank], low[rank - 1] + apart(layer[rank - 1], place)); });
      for (let rank = layer.length - 1; rank >= 0; rank -= 1) {
        high[rank] = rank === layer.length - 1 ? wish[rank] : Math.min(wish[rank], high[rank + 1] - apart(layer[rank], layer[rank + 1]));
      }
      layer.forEach((place, rank) => { place.y = (low[rank] + high[rank]) / 2; });
    }
  }
}

/* `{ boxes: name -> { x, y }, lines: [{ arrow, points }], width, height }`; `x` and `y` are middles. */
export function layout(names, arrows) {
  const sorted = [...names].sort();
  const straight = acyclic(sorted, arrows);
  const { layers, of, ways } = places(sorted, straight, layersOf(sorted, straight));
  order(layers);
  settle(layers);
  const all = layers.flat();
  const top = Math.min(0, ...all.map((place) => place.y - tall(place) / 2));
  const x = (at) => at * (BOX.width + GAP.across) + BOX.width / 2;
  const boxes = new Map([...of].map(([name, place]) => [name, { x: x(place.at), y: place.y - top }]));
  const lines = ways.map(({ arrow, way }) => {
    const points = way.map((place) => ({ x: x(place.at), y: place.y - top }));
    points[0].x += BOX.width / 2;
    points.at(-1).x -= BOX.width / 2;
    const { turned, ...rest } = arrow;
    return turned ? { arrow: { ...rest, from: arrow.to, to: arrow.from }, points: points.reverse(), turned } : { arrow: rest, points, turned };
  });
  const bottom = Math.max(BOX.height, ...all.map((place) => place.y - top + tall(place) / 2));
  return { boxes, lines, width: Math.max(1, layers.length) * (BOX.width + GAP.across) - GAP.across, height: bottom };
}
