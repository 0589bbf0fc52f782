// Sets of elements of one value, as unions of products of masks: rfgraph/engine/products.py.
"use strict";

const Regions = (() => {
  // A mask over several axes with more elements than this is not made.
  const MOST = 1 << 25;
  // More products than this are joined into one mask, if it is small.
  const MOST_PRODUCTS = 32, PRODUCT_WORTH = 1 << 14;

  class TooLarge extends Error {}

  const product = (sizes) => sizes.reduce((a, b) => a * b, 1);
  const ones = (mask) => { let n = 0; for (let i = 0; i < mask.length; i++) n += mask[i]; return n; };
  const made = (elements) => {
    if (elements > MOST) throw new TooLarge();
    return new Uint8Array(elements);
  };

  // ---------------------------------------------------------------- factors

  // Equal factors and products are one object: what is asked of one is asked once. A table lives as
  // long as one question.
  let known = new Map(), count = 0;
  const forget = () => { known = new Map(); };

  const factor = (axes, dims, mask) => {
    let hash = axes.length;
    for (const n of [...axes, ...dims]) hash = Math.imul(hash ^ n, 0x01000193);
    for (let i = 0; i < mask.length; i++) hash = Math.imul(hash ^ (mask[i] + 1), 0x01000193);
    const alike = known.get(hash) || known.set(hash, []).get(hash);
    for (const other of alike) {
      if (String(other.axes) === String(axes) && String(other.dims) === String(dims)
          && same(other.mask, mask)) return other;
    }
    const one = {axes, dims, mask, id: ++count};
    alike.push(one);
    return one;
  };
  const same = (a, b) => {
    if (a.length !== b.length) return false;
    for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
    return true;
  };
  const keyOf = (one) => one.map((f) => f.id).sort((a, b) => a - b).join(",");
  const canonical = (region) => {
    const products = new Map(region.map((one) => [keyOf(one), one]));
    const key = `${products.size} products ${[...products.keys()].sort().join(";")}`;
    if (!known.has(key)) known.set(key, Object.assign([...products.values()], {id: ++count}));
    return known.get(key);
  };

  // ---------------------------------------------------------------- masks over several axes

  const strides = (dims) => {
    const steps = new Array(dims.length);
    let step = 1;
    for (let k = dims.length - 1; k >= 0; k--) { steps[k] = step; step *= dims[k]; }
    return steps;
  };
  // Calls with the flat place in `dims` and the one that `steps` makes of the same coordinates.
  const walk = (dims, steps, visit) => {
    const total = product(dims), at = new Array(dims.length).fill(0);
    let other = 0;
    for (let i = 0; i < total; i++) {
      visit(i, other);
      for (let k = dims.length - 1; k >= 0; k--) {
        other += steps[k];
        if (++at[k] < dims[k]) break;
        other -= steps[k] * dims[k];
        at[k] = 0;
      }
    }
  };
  const shadow = (mask, dims, kept) => {
    if (kept.length === dims.length) return mask;
    const own = kept.map((k) => dims[k]), back = strides(own);
    const out = made(product(own));
    const steps = dims.map((_, k) => kept.includes(k) ? back[kept.indexOf(k)] : 0);
    walk(dims, steps, (i, j) => { if (mask[i]) out[j] = 1; });
    return out;
  };
  const transposed = (mask, dims, order) => {
    if (order.every((k, i) => k === i)) return mask;
    const target = order.map((k) => dims[k]), back = strides(dims);
    const out = made(mask.length);
    walk(target, order.map((k) => back[k]), (i, j) => { out[i] = mask[j]; });
    return out;
  };
  // One mask over `axes`, which hold those of every factor.
  const over = (factors, axes, shape) => {
    if (factors.length === 1 && String(factors[0].axes) === String(axes)) return factors[0].mask;
    const dims = axes.map((a) => shape[a]);
    const out = made(product(dims)).fill(1);
    for (const f of factors) {
      const back = strides(f.dims);
      const steps = axes.map((a) => f.axes.includes(a) ? back[f.axes.indexOf(a)] : 0);
      walk(dims, steps, (i, j) => { out[i] &= f.mask[j]; });
    }
    return out;
  };
  // A mask as factors over as few axes each as can be.
  const split = (axes, dims, mask) => {
    const whole = ones(mask);
    if (whole === mask.length) return [];
    if (axes.length === 1) return [factor(axes, dims, mask)];
    const found = [];
    let rest = axes.map((_, k) => k), gone = 1;
    for (let k = 0; k < axes.length && rest.length > 1; k++) {
      if (axes.length === 2 && k) break;
      const side = shadow(mask, dims, [k]), sides = ones(side);
      const others = rest.filter((j) => j !== k);
      if (sides * ones(shadow(mask, dims, others)) * gone === whole) {
        found.push([[k], side]);
        gone *= sides;
        rest = others;
      }
    }
    found.push([rest, shadow(mask, dims, rest)]);
    return found.filter(([, m]) => ones(m) < m.length)
      .map(([ks, m]) => factor(ks.map((k) => axes[k]), ks.map((k) => dims[k]), m));
  };

  // ---------------------------------------------------------------- unions

  const within = (inner, outer) => { // of masks of one size
    for (let i = 0; i < inner.length; i++) if (inner[i] && !outer[i]) return false;
    return true;
  };
  const partner = (f, one) => one.find((g) => g === f || String(g.axes) === String(f.axes));
  const contains = (p, q) => p === q || p.every((f) => {
    const other = partner(f, q);
    return other && (other === f || within(other.mask, f.mask));
  });
  const joined = (p, q) => {
    if (p.length !== q.length) return null;
    let apart = null;
    for (const f of p) {
      const other = partner(f, q);
      if (!other || (other !== f && apart)) return null;
      if (other !== f) apart = [f, other];
    }
    if (!apart) return p;
    const [f, g] = apart;
    return [...p.filter((each) => each !== f),
      ...split(f.axes, f.dims, f.mask.map((bit, i) => bit | g.mask[i]))];
  };
  const union = (products, shape) => {
    let kept = [];
    const pending = [...products];
    while (pending.length) {
      const one = pending.pop();
      if (kept.some((other) => contains(other, one))) continue;
      kept = kept.filter((other) => !contains(one, other));
      let both = null;
      const k = kept.findIndex((other) => (both = joined(other, one)) !== null);
      if (k >= 0) { kept.splice(k, 1); pending.push(both); } else kept.push(one);
    }
    if (kept.length <= MOST_PRODUCTS || !shape) return kept;
    const axes = axesOf(kept), dims = axes.map((a) => shape[a]);
    if (kept.length <= Math.floor(product(dims) / PRODUCT_WORTH)) return kept;
    return [split(axes, dims, dense(kept, axes, shape))];
  };
  const axesOf = (region) =>
    [...new Set(region.flatMap((one) => one.flatMap((f) => f.axes)))].sort((a, b) => a - b);
  const dense = (region, axes, shape) => {
    const out = made(product(axes.map((a) => shape[a])));
    for (const one of region) {
      const mask = over(one, axes, shape);
      for (let i = 0; i < out.length; i++) out[i] |= mask[i];
    }
    return out;
  };

  // ---------------------------------------------------------------- what is asked of a region

  // Which coordinates occur along some axes, in ascending order, together.
  const projection = (region, axes, shape) => {
    const out = made(product(axes.map((a) => shape[a])));
    for (const one of region) {
      const factors = [];
      for (const f of one) {
        const kept = f.axes.map((_, k) => k).filter((k) => axes.includes(f.axes[k]));
        if (!kept.length) continue;
        factors.push({axes: kept.map((k) => f.axes[k]), dims: kept.map((k) => f.dims[k]),
          mask: shadow(f.mask, f.dims, kept)});
      }
      const mask = over(factors, axes, shape);
      for (let i = 0; i < out.length; i++) out[i] |= mask[i];
    }
    return out;
  };
  // First and last coordinate along each axis; null if there is no element.
  const box = (region, shape) => region.length === 0 ? null : shape.map((n, axis) => {
    const side = projection(region, [axis], shape);
    return [side.indexOf(1), side.lastIndexOf(1)];
  });
  // How many elements there are; NaN where that takes too large a mask.
  const size = (region, shape) => {
    if (!region.length) return 0;
    const axes = axesOf(region), rest = product(shape.filter((_, a) => !axes.includes(a)));
    if (region.length === 1) return product(region[0].map((f) => ones(f.mask))) * rest;
    try {
      return ones(dense(region, axes, shape)) * rest;
    } catch (error) {
      if (error instanceof TooLarge) return NaN;
      throw error;
    }
  };
  const ofMasks = (masks) => { // one mask for each axis
    if (masks.some((mask) => !ones(mask))) return [];
    return [masks.map((mask, a) => [a, mask]).filter(([, mask]) => ones(mask) < mask.length)
      .map(([a, mask]) => factor([a], [mask.length], mask))];
  };

  return {TooLarge, axesOf, box, canonical, factor, forget, made, ofMasks, ones, over, product,
    projection, shadow, size, split, strides, transposed, union, walk};
})();
