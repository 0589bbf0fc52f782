// The box of a unit, looked up in the program's slots, and the nodes that set its ends:
// rfgraph/engine/bounds.py and why.py.
"use strict";

class Bounds {
  // So many elements that a unit reads are looked at to find the one that sets an end.
  static MOST = 4096;

  constructor(program, support) {
    this.program = program;
    this.support = support;
  }

  // First and last coordinate that a unit sees along each axis of an input; null for nothing.
  box(value, unit, input) {
    const views = this.program.views[value]?.[input];
    if (!views) return null;
    const found = views.map((view) => this.along(view, unit));
    // A scalar is followed as if it had an axis.
    return found.includes(null) ? null : found.slice(0, this.support.shape(input).length);
  }

  along(number, unit) {
    let low = Infinity, high = Infinity;
    for (const [item, confined] of Bounds.leaves(this.program.axisViews[number])) {
      const [slot, pieces, masks] = item;
      if (confined.some(([axis, begin, end]) => unit[axis] < begin || unit[axis] >= end)) continue;
      if (masks.some(([s, p]) => this.at(s, 0, p, unit) === Infinity)) continue;
      low = Math.min(low, this.at(slot, 0, pieces, unit));
      high = Math.min(high, this.at(slot, 1, pieces, unit));
    }
    return low === Infinity ? null : [low, -high];
  }

  // The items of a view, and to which coordinates those of chains are confined.
  static leaves(view, confined = []) {
    return view.flatMap((item) => Array.isArray(item) ? [[item, confined]]
      : item.parts.flatMap(([begin, size, part]) => {
        const outer = confined.find(([axis]) => axis === item.axis);
        const from = begin + (outer ? outer[1] : 0);
        const others = confined.filter((each) => each !== outer);
        return Bounds.leaves(part, [...others, [item.axis, from, from + size]]);
      }));
  }

  // One of the two functions of a slot, where a unit has the digits `pieces`.
  at(slot, which, pieces, unit) {
    let place = 0;
    for (const [axis, inner, size, shift] of pieces) {
      const digit = Math.floor((unit[axis] - shift) / inner) % size;
      place = place * size + (digit + size) % size;
    }
    const segments = this.program.slots[slot][which];
    let low = 0, high = segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (segments[middle][0] <= place) low = middle; else high = middle - 1;
    }
    const [begin, advance, values] = segments[low];
    const phase = (place - begin) % values.length;
    const value = values[phase];
    return value === null ? Infinity : value + (place - begin - phase) / values.length * advance;
  }

  // ---------------------------------------------------------------- why

  // The chain of units, from one to an input, that sets one end (0 the lower, 1 the upper) of its
  // bounds along an axis: the value, its unit, and what that sees. Not the whole chain if that takes
  // longer than until `deadline`.
  way(value, unit, input, axis, end, deadline = Infinity) {
    const hops = [];
    const seen = new Set();
    while (performance.now() < deadline) {
      const ends = this.along(this.program.views[value][input][axis], unit);
      hops.push({value, unit, ends});
      seen.add(`${value} ${unit}`);
      if (value === input) break;
      const next = this.before(value, unit, input, axis, end, ends, seen);
      if (!next) break;
      [value, unit] = next;
    }
    // How much more each sees than the next on the way.
    const size = (hop) => hop.ends[1] - hop.ends[0];
    hops.forEach((hop, k) => {
      hop.added = k + 1 < hops.length ? size(hop) - size(hops[k + 1]) : 0;
    });
    return hops;
  }

  // An element that a unit reads and that has the unit's own bound: of several, the one whose other
  // end reaches farthest, as one that the border cuts off says less than its neighbour.
  before(value, unit, input, axis, end, ends, seen) {
    const masks = this.support.shape(value).map((n, a) => {
      const mask = new Uint8Array(n);
      mask[unit[a]] = 1;
      return mask;
    });
    let best = null;
    for (const [source, region] of this.read(value, Regions.ofMasks(masks))) {
      const views = this.program.views[source]?.[input];
      if (!views) continue;
      for (const one of region) {
        for (const place of this.places(one, source, views[axis], end)) {
          if (seen.has(`${source} ${place}`)) continue;
          const found = this.along(views[axis], place);
          if (!found || found[end] !== ends[end]) continue;
          const size = found[1] - found[0];
          if (!best || size > best.size) best = {size, source, place};
        }
      }
    }
    return best && [best.source, best.place];
  }

  // What a region of a value reads of the values before it, by value.
  read(value, region) {
    const support = this.support, step = this.made(value);
    Regions.forget();
    support.read = new Map();
    support.found = new Map();
    try {
      if (step) support.follow(step, Regions.canonical(region), support.shape(value));
      return support.found;
    } catch (error) {
      if (error instanceof Regions.TooLarge) return new Map();
      throw error;
    } finally {
      support.read = null;
    }
  }

  made(value) {
    const find = (steps) => {
      for (const [outputs, reads, cycle] of steps) {
        const k = outputs.indexOf(value);
        if (k >= 0) return reads[k];
        if (!cycle) continue;
        const carried = cycle.carried.find(([inner]) => inner === value);
        const within = carried ? carried[1] : find(cycle.steps);
        if (within) return within;
      }
      return null;
    };
    const at = this.support.maker.get(value);
    return at === undefined ? null : find([this.program.steps[at]]);
  }

  // The units of a product that may see different things along an axis.
  *places(one, value, view, end) {
    const shape = this.support.shape(value);
    const varies = new Set(Bounds.leaves(this.program.axisViews[view]).flatMap(
      ([[, pieces, masks], confined]) => [...pieces, ...masks.flatMap(([, p]) => p), ...confined]
        .map(([axis]) => axis)));
    const choices = shape.map((n, a) => {
      const f = one.find((each) => each.axes.includes(a));
      const side = f ? Regions.shadow(f.mask, f.dims, [f.axes.indexOf(a)]) : null;
      // Where all see the same the nearest one to that end will do.
      if (!varies.has(a) && !(f && f.axes.length > 1)) {
        return [end ? (side ? side.lastIndexOf(1) : n - 1) : (side ? side.indexOf(1) : 0)];
      }
      const all = [];
      for (let c = 0; c < n; c++) if (!side || side[c]) all.push(c);
      return all;
    });
    const total = Regions.product(choices.map((c) => c.length));
    // Of very many only the corners are looked at.
    const some = total <= Bounds.MOST ? choices
      : choices.map((c) => c.length > 2 ? [c[0], c[c.length - 1]] : c);
    const joint = one.filter((f) => f.axes.length > 1);
    const order = end ? some.map((c) => [...c].reverse()) : some;
    const at = new Array(shape.length).fill(0);
    for (let left = Regions.product(order.map((c) => c.length)); left > 0; left--) {
      const place = at.map((k, a) => order[a][k]);
      const inside = joint.every((f) => {
        const back = Regions.strides(f.dims);
        return f.mask[f.axes.reduce((sum, a, k) => sum + place[a] * back[k], 0)];
      });
      if (inside) yield place;
      for (let a = at.length - 1; a >= 0; a--) {
        if (++at[a] < order[a].length) break;
        at[a] = 0;
      }
    }
  }
}
