// What regions of values depend on, backward through the reads: rfgraph/engine/support.py and
// pullback.py. The program is that of rfgraph/report/program.py.
"use strict";

class Support {
  // From so many coordinates on a run is marked by its ends.
  static WIDE = 8;

  constructor(program) {
    this.program = program;
    this.maker = new Map();
    program.steps.forEach((step, k) => {
      step[0].forEach((value) => this.maker.set(value, k));
      for (const value of step[2] ? this.inside(step[2]) : []) this.maker.set(value, k);
    });
  }

  *inside(cycle) {
    for (const [inner] of cycle.carried) yield inner;
    for (const step of cycle.steps) {
      yield* step[0];
      if (step[2]) yield* this.inside(step[2]);
    }
  }

  shape(value) { return this.program.shapes[this.program.shape[value]]; }

  // The regions of all values behind a region of one, by value; null where that takes a mask that
  // is too large. `widened` tells whether more is taken to be read than is.
  behind(value, region) {
    Regions.forget();
    this.read = new Map();
    this.widened = false;
    this.found = new Map([[value, Regions.canonical(region)]]);
    try {
      for (let k = this.maker.get(value) ?? -1; k >= 0; k--) this.step(this.program.steps[k]);
      return this.found;
    } catch (error) {
      if (error instanceof Regions.TooLarge) return null;
      throw error;
    } finally {
      this.read = null;
    }
  }

  step([outputs, reads, cycle]) {
    let reached = false;
    outputs.forEach((value, k) => {
      const region = this.found.get(value);
      if (!region) return;
      reached = true;
      this.follow(reads[k], region, this.shape(value));
    });
    if (cycle && (reached || [...this.inside(cycle)].some((v) => this.found.has(v)))) {
      this.settle(cycle);
    }
  }

  settle(cycle) {
    const told = () => [...this.inside(cycle)].map((v) => this.found.get(v)?.id).join();
    for (let before = null; before !== told();) {
      before = told();
      for (let k = cycle.steps.length - 1; k >= 0; k--) this.step(cycle.steps[k]);
      for (const [inner, reads] of cycle.carried) {
        const region = this.found.get(inner);
        if (region) this.follow(reads, region, this.shape(inner));
      }
    }
  }

  follow(reads, region, extent) {
    for (let k = 0; k < reads.length; k += 2) {
      const source = reads[k + 1], stage = Array.isArray(source);
      const shape = stage ? this.program.shapes[source[0]] : this.shape(source);
      const made = this.pulled(region, reads[k], shape, extent);
      if (!made.length) continue;
      if (stage) { this.follow(source[1], made, shape); continue; }
      const known = this.found.get(source);
      if (known === made) continue;
      const both = known ? Regions.union([...known, ...made], shape) : made;
      this.found.set(source, Regions.canonical(both));
    }
  }

  // ---------------------------------------------------------------- one read

  pulled(region, number, source, extent) {
    const key = `${region.id} ${number} ${source} ${extent}`;
    let made = this.read.get(key);
    if (!made) {
      made = Regions.canonical(this.pull(region, this.program.reads[number], source, extent));
      this.read.set(key, made);
    }
    return made;
  }

  pull(region, read, source, extent) {
    if (source && source.includes(0)) return [];
    if (read === 0 || !source || !extent) return [[]];
    const found = [];
    for (const one of region) {
      const made = read === 1 ? this.broadcast(one, source, extent)
        : read.view ? this.rearranged(one, read, source, extent)
          : this.perAxis(one, read.axes, source, extent);
      if (made) found.push(made);
    }
    return found.length < 2 ? found : Regions.union(found, source);
  }

  broadcast(one, source, extent) {
    const lead = extent.length - source.length;
    return one.flatMap((f) => {
      if (!lead && f.axes.every((a) => source[a] > 1)) return [f];
      const kept = f.axes.map((_, k) => k).filter((k) => {
        const a = f.axes[k] - lead;
        return a >= 0 && source[a] > 1;
      });
      if (!kept.length) return [];
      const axes = kept.map((k) => f.axes[k] - lead), dims = kept.map((k) => f.dims[k]);
      return Regions.split(axes, dims, Regions.shadow(f.mask, f.dims, kept));
    });
  }

  rearranged(one, read, source, extent) {
    const between = read.permutation.map((a) => read.view[a]);
    const moved = this.reshaped(one, extent, between).map((f) => {
      const axes = f.axes.map((a) => read.permutation[a]);
      const order = axes.map((_, k) => k).sort((a, b) => axes[a] - axes[b]);
      return Regions.factor(order.map((k) => axes[k]), order.map((k) => f.dims[k]),
        Regions.transposed(f.mask, f.dims, order));
    });
    return this.reshaped(moved, read.view, source);
  }

  reshaped(one, source, target) {
    if (!one.length || String(source) === String(target)) return one;
    let groups = Support.groups(source, target);
    for (const f of one) {
      const tied = groups.filter(([ins]) => ins.some((a) => f.axes.includes(a)));
      groups = groups.filter((g) => !tied.includes(g));
      groups.push([tied.flatMap(([ins]) => ins), tied.flatMap(([, outs]) => outs)]);
    }
    const out = [];
    for (const [ins, outs] of groups) {
      const held = one.filter((f) => f.axes.every((a) => ins.includes(a)));
      if (!held.length || !outs.length) continue;
      const before = [...ins].sort((a, b) => a - b), after = [...outs].sort((a, b) => a - b);
      const mask = Regions.over(held, before, source);
      out.push(...Regions.split(after, after.map((a) => target[a]), mask));
    }
    return out;
  }

  // The finest groups of consecutive axes of both shapes that have equal products.
  static groups(source, target) {
    const groups = [];
    let i = 0, j = 0;
    while (i < source.length || j < target.length) {
      const first = i, second = j;
      let left = i < source.length ? source[i++] : 1, right = j < target.length ? target[j++] : 1;
      while (left !== right) {
        if (left < right) left *= source[i++]; else right *= target[j++];
      }
      const range = (from, to) => Array.from({length: to - from}, (_, k) => from + k);
      groups.push([range(first, i), range(second, j)]);
    }
    return groups;
  }

  // ---------------------------------------------------------------- progressions along axes

  static followed(read) {
    return Array.isArray(read[0]) ? read[0] : read[0] >= 0 ? [read[0]] : [];
  }

  perAxis(one, reads, source, extent) {
    const owner = new Map(one.flatMap((f) => f.axes.map((a) => [a, f])));
    const uses = new Map();
    for (const a of reads.flatMap(Support.followed)) uses.set(a, (uses.get(a) || 0) + 1);
    const out = [], joint = [];
    for (const [a, read] of reads.entries()) {
      const size = source[a], axes = Support.followed(read);
      if (read[0] === -2) this.widened = true;
      let mask = new Uint8Array(size);
      if (!axes.length) {
        const all = read[0] === -2 || read[2] < 0;
        mask.fill(1, read[0] === -2 ? 0 : read[1], all ? size : read[1] + read[2]);
      } else {
        const f = owner.get(axes[0]);
        if (axes.length > 1 || uses.get(axes[0]) > 1 || (f && f.axes.length > 1)) {
          joint.push(a);
          continue;
        }
        mask = this.marked(f ? f.mask : null, read, size, extent[axes[0]]);
      }
      const many = Regions.ones(mask);
      if (!many) return null;
      if (many < size) out.push(Regions.factor([a], [size], mask));
    }
    const made = joint.length ? this.jointly(one, joint, reads, source, extent) : [];
    return made && [...out, ...made];
  }

  // First coordinate and how many, those outside of the axis left out, for one output coordinate;
  // `place` is that coordinate, or of a list over several axes the flat place in it.
  static progression(read, place, size) {
    let start, count, step;
    if (Array.isArray(read[0])) {
      start = read[1][place];
      count = Array.isArray(read[2]) ? read[2][place] : read[2];
      step = read[3];
    } else {
      const [, starts, counts, advance, apart, part] = read;
      const phase = place % starts.length;
      start = starts[phase] + (place - phase) / starts.length * advance;
      count = Array.isArray(counts) ? counts[phase] : counts;
      if (part && (place < part[0] || place >= part[1])) count = 0;
      step = apart;
    }
    const first = Math.max(Math.ceil(-start / step), 0);
    const last = Math.min(Math.floor((size - 1 - start) / step), count - 1);
    return [start + first * step, Math.max(last - first + 1, 0), step];
  }

  // The coordinates of an axis that the outputs in a mask read, all outputs without a mask.
  marked(mask, read, size, outputs) {
    const out = new Uint8Array(size);
    // The run that was marked last: of one that meets it only the rest is.
    let from = 0, to = 0;
    for (let o = 0; o < outputs; o++) {
      if (mask && !mask[o]) continue;
      let [at, count, step] = Support.progression(read, o, size);
      if (!count) continue;
      if (step > 1) {
        for (; count > 0; count--, at += step) out[at] = 1;
        continue;
      }
      const end = at + count;
      if (from <= at && at <= to) {
        if (end > to) { out.fill(1, to, end); to = end; }
      } else if (at < from && from <= end && end <= to) {
        out.fill(1, at, from);
        from = at;
      } else {
        out.fill(1, at, end);
        [from, to] = [at, end];
      }
    }
    return out;
  }

  // The source axes `joint`, of which some follow output axes that belong together.
  jointly(one, joint, reads, source, extent) {
    let parts = one.map((f) => [new Set(f.axes), []]);
    for (const a of joint) {
      const outs = new Set(Support.followed(reads[a])), members = [a];
      for (const part of parts.filter(([axes]) => [...axes].some((b) => outs.has(b)))) {
        part[0].forEach((b) => outs.add(b));
        members.push(...part[1]);
        parts = parts.filter((other) => other !== part);
      }
      parts.push([outs, members]);
    }
    const made = [];
    for (const [outs, members] of parts) {
      if (!members.length) continue;
      members.sort((a, b) => a - b);
      const axes = [...outs].sort((a, b) => a - b);
      const held = one.filter((f) => f.axes.every((a) => outs.has(a)));
      const mask = Regions.over(held, axes, extent);
      const found = this.products(mask, axes, members, reads, source, extent);
      if (!Regions.ones(found)) return null;
      made.push(...Regions.split(members, members.map((a) => source[a]), found));
    }
    return made;
  }

  // For every output coordinate in `mask` the product of what it reads of the axes `members`.
  products(mask, axes, members, reads, source, extent) {
    const follows = new Set(members.flatMap((a) => Support.followed(reads[a])));
    const kept = axes.map((_, k) => k).filter((k) => follows.has(axes[k]));
    mask = Regions.shadow(mask, axes.map((a) => extent[a]), kept);
    const own = kept.map((k) => axes[k]), dims = own.map((a) => extent[a]);
    // Of each member the place in its list, or along its axis, as a sum over the coordinates.
    const steps = members.map((a) => {
      const followed = Support.followed(reads[a]);
      const back = Regions.strides(followed.map((b) => extent[b]));
      return own.map((b) => followed.includes(b) ? back[followed.indexOf(b)] : 0);
    });
    const sizes = members.map((a) => source[a]);
    const most = members.map((a) => {
      const counts = reads[a][2];
      return Array.isArray(counts) ? counts.reduce((m, n) => Math.max(m, n), 0) : counts;
    });
    const runs = members.map((a, k) =>
      (Array.isArray(reads[a][0]) ? reads[a][3] : reads[a][4]) === 1 && most[k] > Support.WIDE);
    const room = sizes.map((n, k) => n + (runs[k] ? 1 : 0)), back = Regions.strides(room);
    Regions.made(Regions.product(room));
    const edges = new Int32Array(Regions.product(room));
    const at = new Array(own.length).fill(0);
    for (let i = 0; i < mask.length; i++) {
      if (mask[i]) {
        const found = members.map((a, k) => Support.progression(
          reads[a], at.reduce((sum, c, j) => sum + c * steps[k][j], 0), sizes[k]));
        if (found.every(([, count]) => count)) this.mark(edges, found, runs, back, 0, 0, 1);
      }
      for (let k = own.length - 1; k >= 0; k--) {
        if (++at[k] < dims[k]) break;
        at[k] = 0;
      }
    }
    // Runs are summed up along their axes.
    room.forEach((n, k) => {
      if (!runs[k]) return;
      for (let i = 0; i < edges.length; i++) {
        if (Math.floor(i / back[k]) % n) edges[i] += edges[i - back[k]];
      }
    });
    const out = Regions.made(Regions.product(sizes));
    Regions.walk(sizes, back, (i, j) => { out[i] = edges[j] > 0 ? 1 : 0; });
    return out;
  }

  mark(edges, found, runs, back, level, place, sign) {
    if (level === found.length) {
      if (runs.includes(true)) edges[place] += sign; else edges[place] = 1;
      return;
    }
    const [start, count, step] = found[level];
    if (runs[level]) {
      this.mark(edges, found, runs, back, level + 1, place + start * back[level], sign);
      this.mark(edges, found, runs, back, level + 1, place + (start + count) * back[level], -sign);
      return;
    }
    for (let k = 0; k < count; k++) {
      this.mark(edges, found, runs, back, level + 1, place + (start + k * step) * back[level], sign);
    }
  }
}
