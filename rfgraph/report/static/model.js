// What is known of the model's values, and what is chosen.
"use strict";

class Model {
  constructor(data) {
    this.data = data;
    this.program = data.program;
    this.support = new Support(data.program);
    this.bounds = new Bounds(data.program, this.support);
    this.names = data.program.values.map(Elements.plain);
    for (const node of data.nodes) {
      node.name = Elements.plain(node.name);
      node.path = (node.path || []).map(Elements.plain);
    }
    this.inputs = data.program.inputs;
    this.assumed = new Map(data.assumed);
    // The node that makes a value; those of the values that can be chosen, in order.
    this.maker = new Map(data.nodes.flatMap((node) => node.out.map((value) => [value, node])));
    const given = new Set(this.inputs), seen = (value) => given.has(value) || data.values[value].fields;
    const order = [...this.inputs, ...data.nodes.flatMap((node) => node.out)];
    this.values = [...new Set(order)].filter((value) => seen(value) && this.extent(value));
    this.chosen = new Set(this.values);
  }

  // Whether a value can be chosen.
  has(value) { return this.chosen.has(value); }

  // The shape with 1 for sizes that the data decide: the units that are told apart.
  extent(value) { return this.support.shape(value); }

  shape(value) {
    const shape = this.data.values[value].shape || this.extent(value);
    return shape ? shape.map((n) => n ?? "?").join("×") || "scalar" : "?";
  }

  operator(value) { return this.maker.get(value)?.op ?? "input"; }

  // The inputs that a value depends on, as places in the list of inputs.
  sees(value) {
    return Object.keys(this.data.values[value].fields || {}).map(Number);
  }

  // The axes of an input that a picture shows, and the figures of a value along them.
  axes(input) { return this.data.inputs[input].axes; }
  fields(value, input) { return this.data.fields[this.data.values[value].fields?.[input]] || null; }
  lie(value, input) { return this.data.maps[this.data.values[value].maps?.[input]] || null; }

  // How the units of a value are laid out on a map: digits of rows and of columns.
  map(value, input) {
    const extent = this.extent(value);
    const lie = (this.lie(value, input) || []).filter((digits) => digits.length);
    const taken = new Set();
    const apart = lie.slice(-2).every((digits) => digits.every((digit) => {
      const key = digit.slice(0, 2).join();
      return !taken.has(key) && taken.add(key);
    }));
    if (lie.length && apart) {
      const [columns, rows] = lie.slice(-2).reverse();
      return {rows: rows || [], columns, placed: true};
    }
    const wide = extent.map((n, a) => [a, 1, n, 0]).filter(([, , n]) => n > 1).slice(-2);
    const columns = wide.pop();
    return {rows: wide, columns: columns ? [columns] : [], placed: false};
  }

  static size(digits) { return digits.reduce((n, [, , size]) => n * size, 1); }

  // The place of a unit along some digits; -1 where it lies outside of them.
  static place(digits, unit) {
    let place = 0;
    for (const [axis, inner, size, shift] of digits) {
      if (unit[axis] < shift) return -1;
      place = place * size + Math.floor((unit[axis] - shift) / inner) % size;
    }
    return place;
  }

  // The unit with another place along some digits.
  static moved(unit, digits, place) {
    const made = [...unit];
    for (const [axis, inner, size, shift] of [...digits].reverse()) {
      const digit = place % size;
      place = Math.floor(place / size);
      const at = Math.max(made[axis], shift) - shift;
      made[axis] = shift + at + (digit - Math.floor(at / inner) % size) * inner;
    }
    return made;
  }

  middle(value) { return this.extent(value).map((n) => Math.floor(n / 2)); }

  // The unit of another value at the same place: of its map by share, of other axes as they are.
  carried(unit, from, to, input) {
    const extent = this.extent(to);
    let made = this.middle(to).map((m, a) =>
      this.extent(from).length === extent.length ? Math.min(unit[a], extent[a] - 1) : m);
    const [before, after] = [this.map(from, input), this.map(to, input)];
    for (const side of ["rows", "columns"]) {
      const n = Model.size(before[side]), m = Model.size(after[side]);
      const place = Model.place(before[side], unit);
      if (place >= 0 && after[side].length && before[side].length) {
        made = Model.moved(made, after[side], Math.min(Math.floor((place + .5) * m / n), m - 1));
      }
    }
    return made.map((c, a) => Math.min(c, extent[a] - 1));
  }

  // What some units of a value see: a region of each input, and how exact that is. `units` is a
  // region of the value.
  see(value, units, unit) {
    const found = this.support.behind(value, units);
    if (!found || this.support.widened) {
      // By the bounds, of one unit; of a region all, which is too much.
      const regions = new Map(this.inputs.map((input) => {
        const box = unit && this.bounds.box(value, unit, input);
        const shape = this.extent(input);
        return [input, box ? Regions.ofMasks(box.map(([lo, hi], a) =>
          new Uint8Array(shape[a]).fill(1, lo, hi + 1))) : unit ? [] : [[]]];
      }));
      return {regions, exactness: "box", reasons: []};
    }
    const regions = new Map(this.inputs.map((input) => [input, found.get(input) || []]));
    const reasons = [...this.assumed].filter(([made]) => found.has(made)).map(([, why]) => why);
    return {regions, exactness: reasons.length ? "most" : "exact", reasons: [...new Set(reasons)]};
  }
}
