// How fields grow with depth: the sizes of all values, by how many nodes lie before them.
"use strict";

class Growth {
  constructor(holder, model, choose) {
    this.holder = holder;
    this.model = model;
    this.choose = choose;
    this.depth = new Map(model.inputs.map((value) => [value, 0]));
    for (const node of model.data.nodes) {
      const from = node.in.map((value) => this.depth.get(value) ?? 0);
      for (const value of node.out) this.depth.set(value, Math.max(0, ...from) + 1);
    }
    Elements.onWidth(holder, () => this.draw());
  }

  show(value, input) {
    const again = input !== this.input;
    [this.value, this.input] = [value, input];
    if (again) this.draw();
    for (const dot of this.holder.querySelectorAll("[data-value]")) {
      dot.classList.toggle("is-chosen", Number(dot.dataset.value) === value);
    }
  }

  draw() {
    if (this.input === undefined || !this.holder.clientWidth) return;
    const {model, input} = this, axes = model.axes(input), shape = model.extent(model.inputs[input]);
    const found = model.values.map((value) => ({value, depth: this.depth.get(value) ?? 0, fields: model.fields(value, input)}))
      .filter((each) => each.fields?.length);
    const points = [], whole = [];
    // Along the axis on which most is seen.
    for (const {value, depth, fields} of found) {
      const sized = fields.filter((field) => field.n);
      if (!sized.length) { whole.push({value, depth}); continue; }
      points.push({value, depth, low: Math.min(...sized.map((f) => f.n[0])), high: Math.max(...sized.map((f) => f.n[1]))});
    }
    const limit = axes.length ? Math.max(...axes.map((a) => shape[a])) : 1;
    const width = this.holder.clientWidth, height = 230, [left, right, top, bottom] = [52, 16, 30, 30];
    const deepest = Math.max(1, ...found.map((each) => each.depth));
    const most = Math.max(limit, ...points.map((p) => p.high)) * 1.06;
    const x = (depth) => left + depth / deepest * (width - left - right);
    const y = (size) => height - bottom - size / most * (height - top - bottom);
    const range = new Map();
    for (const {depth, low, high} of points) {
      const [a, b] = range.get(depth) || [Infinity, -Infinity];
      range.set(depth, [Math.min(a, low), Math.max(b, high)]);
    }
    const depths = [...range.keys()].sort((a, b) => a - b);
    const line = (which) => depths.map((d) => `${x(d).toFixed(1)} ${y(range.get(d)[which]).toFixed(1)}`);
    const svg = Elements.svg("svg", {viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": `Size of the field by depth: up to ${Math.max(0, ...points.map((p) => p.high))} of ${limit} elements; the table below has all figures`});
    for (const size of Growth.ticks(most)) {
      svg.append(Elements.svg("line", {class: "axis", x1: left, x2: width - right, y1: y(size), y2: y(size)}),
        Elements.svg("text", {x: left - 8, y: y(size) + 4, "text-anchor": "end"}, String(size)));
    }
    svg.append(Elements.svg("line", {class: "limit", x1: left, x2: width - right, y1: y(limit), y2: y(limit)}),
      Elements.svg("text", {x: left + 4, y: y(limit) - 5}, `the input, ${limit}`),
      Elements.svg("text", {x: width - right, y: height - 8, "text-anchor": "end"}, "nodes from the input →"),
      Elements.svg("text", {x: 8, y: height - 8}, "elements seen"));
    if (depths.length > 1) {
      svg.append(Elements.svg("path", {class: "band", d: `M${line(1).join("L")}L${line(0).reverse().join("L")}Z`}),
        Elements.svg("path", {class: "line", d: `M${line(1).join("L")}`}));
    }
    const dot = (value, name, attributes) => Elements.svg(name, {...attributes, "data-value": value, onclick: () => this.choose(value)},
      Elements.svg("title", {}, model.names[value]));
    const ends = new Set();
    if (points.length + whole.length <= 3000) {
      for (const p of points) {
        const key = `${p.depth} ${p.high}`;
        if (ends.has(key) && p.value !== this.value) continue;
        ends.add(key);
        // A value that adds nothing is drawn hollow.
        const from = (model.maker.get(p.value)?.in || []).map((v) => model.fields(v, input)?.find((f) => f.n)?.n[1] ?? 0);
        const still = from.length && Math.max(...from) >= p.high;
        svg.append(dot(p.value, "circle", {class: still ? "dot is-still" : "dot", cx: x(p.depth), cy: y(p.high), r: still ? 2.4 : 3.4}));
      }
      for (const {value, depth} of whole) {
        svg.append(dot(value, "rect", {class: "whole", x: x(depth) - 3, y: 8, width: 6, height: 6}));
      }
    }
    this.holder.replaceChildren(svg, Elements.of("p", {class: "muted"},
      "The largest field at each depth; the band is from the smallest to the largest where branches differ. Hollow: the node adds nothing. "
      + (whole.length ? "Squares at the top see the whole axis, all before their place, or all behind it, however long that is. " : "")
      + "Fields are those away from the borders, and may be larger than the input."));
  }

  static ticks(most) {
    const step = [1, 2, 5].map((n) => n * 10 ** Math.floor(Math.log10(most / 4)))
      .concat(10 ** (Math.floor(Math.log10(most / 4)) + 1)).find((n) => n >= most / 5) || 1;
    return Array.from({length: Math.floor(most / Math.max(step, 1)) + 1}, (_, k) => k * Math.max(step, 1));
  }
}
