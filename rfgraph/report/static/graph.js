// The graph on the page: pan, zoom, open and close scopes, choose nodes.
"use strict";

class Graph {
  constructor(holder, model, choose) {
    this.holder = holder;
    this.model = model;
    this.choose = choose;
    this.layout = new Layout(model);
    this.made = new Map(this.layout.leaves.flatMap((leaf) => leaf.node.out.map((value) => [value, leaf])));
    this.svg = Elements.svg("svg", {role: "group", "aria-label": "The model's graph; arrow keys go from node to node"});
    this.world = Elements.svg("g");
    this.svg.append(this.world);
    holder.append(this.svg);
    this.view = {x: 0, y: 0, scale: 1};
    this.pointers = new Map();
    this.svg.addEventListener("wheel", (event) => this.wheel(event), {passive: false});
    this.svg.addEventListener("pointerdown", (event) => this.down(event));
    this.svg.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) this.svg.addEventListener(name, (event) => this.up(event));
    this.svg.addEventListener("keydown", (event) => this.key(event));
  }

  // ---------------------------------------------------------------- drawing

  draw() {
    this.layout.arrange();
    this.shown = new Map();
    this.world.replaceChildren(...this.scope(this.layout.root, 0, 0));
    const shown = [...this.shown.keys()], nodes = shown.filter((item) => !item.items).length;
    const closed = shown.filter((item) => item.items && !item.open).length, all = this.layout.leaves.length;
    Elements.id("graph-about").textContent = nodes === all ? `all ${all} nodes`
      : !nodes ? `${all.toLocaleString("en")} nodes in ${closed} closed boxes`
      : `${nodes.toLocaleString("en")} of ${all.toLocaleString("en")} nodes, the others in ${closed} closed boxes`;
    this.mark();
  }

  scope(scope, left, top) {
    const found = scope.lines.map(({from, to, points}) => {
      const at = points.map(([x, y]) => [x + left, y + top]);
      const edge = Elements.svg("path", {class: "edge", d: Graph.curve(at)});
      edge.ends = [from, to];
      return edge;
    });
    for (const item of scope.items) {
      const x = item.x + left, y = item.y + top;
      this.shown.set(item, {x, y});
      const name = item.items ? `scope ${item.name}, ${item.total} nodes, ${item.open ? "open" : "closed"}`
        : `${item.node.op} ${item.node.name}`;
      const box = Elements.svg("g", {class: `node${item.items ? " is-scope" : ""}${item.open && item.items ? " is-open" : ""}${item.node?.input ? " is-input" : ""}${this.isOutput(item) ? " is-output" : ""}`,
        transform: `translate(${x} ${y})`, role: "button", tabindex: -1, "aria-label": name,
        "aria-expanded": item.items ? String(Boolean(item.open)) : null},
      Elements.svg("title", {}, name),
      Elements.svg("rect", {width: item.width, height: item.height, rx: item.items ? 8 : 5}));
      const [head, sub] = this.layout.labels(item);
      if (!item.items || !item.open) {
        const middle = item.width / 2;
        box.append(Elements.svg("text", {x: middle, y: 16, "text-anchor": "middle"}, item.items ? `+ ${head}` : head));
        if (sub) box.append(Elements.svg("text", {x: middle, y: 31, "text-anchor": "middle", class: "sub"}, sub));
      }
      box.item = item;
      item.box = box;
      found.push(box);
      if (item.items && item.open) {
        // The name lies over the lines.
        found.push(...this.scope(item, x, y), Elements.svg("text", {x: x + 9, y: y + 16, class: "scope-name"}, `− ${head}`));
      }
    }
    return found;
  }

  isOutput(item) { return Boolean(item.node?.out.some((value) => this.model.data.values[value].output)); }

  static curve(points) {
    if (points.length < 3) return "M" + points.map((p) => p.join(" ")).join("L");
    let path = `M${points[0].join(" ")}`;
    for (let k = 1; k < points.length - 1; k++) {
      const [x, y] = points[k], last = k === points.length - 2;
      const to = last ? points[k + 1] : [(x + points[k + 1][0]) / 2, (y + points[k + 1][1]) / 2];
      path += `Q${x} ${y} ${to[0]} ${to[1]}`;
    }
    return path;
  }

  mark() {
    const leaf = this.made.get(this.value);
    for (const box of this.world.querySelectorAll(".node")) {
      const item = box.item, chosen = item === leaf;
      let holds = false;
      if (!chosen && item.items && leaf) for (let s = leaf.parent; s; s = s.parent) holds ||= s === item && !item.open;
      box.classList.toggle("is-chosen", chosen);
      box.classList.toggle("holds-chosen", holds);
      if (chosen) box.setAttribute("aria-current", "true"); else box.removeAttribute("aria-current");
      box.setAttribute("tabindex", chosen || holds ? 0 : -1);
    }
    if (!this.world.querySelector('[tabindex="0"]')) this.world.querySelector(".node")?.setAttribute("tabindex", 0);
    for (const edge of this.world.querySelectorAll(".edge")) {
      edge.classList.toggle("is-lit", Boolean(leaf) && edge.ends.includes(leaf));
    }
  }

  // ---------------------------------------------------------------- the view

  // A value is chosen: its node is shown, and brought into sight.
  show(value, {reveal = true} = {}) {
    this.value = value;
    if (!this.shown) return;
    const leaf = this.made.get(value);
    if (!leaf) { this.mark(); return; }
    if (reveal && this.layout.reveal(leaf)) this.draw(); else this.mark();
    this.bring(leaf);
  }

  bring(item) {
    while (item && !this.shown.has(item)) item = item.parent;
    const at = item && this.shown.get(item);
    if (!at) return;
    const {width, height} = this.svg.getBoundingClientRect(), {x, y, scale} = this.view;
    const [left, top] = [at.x * scale + x, at.y * scale + y];
    const inside = left > 20 && top > 20 && left + item.width * scale < width - 20 && top + item.height * scale < height - 20;
    if (inside && scale > .45) return;
    this.view.scale = Math.min(Math.max(scale, .75), 1.5);
    this.view.x = width / 2 - (at.x + item.width / 2) * this.view.scale;
    this.view.y = height / 2 - (at.y + item.height / 2) * this.view.scale;
    this.apply();
  }

  fit() {
    const {width, height} = this.svg.getBoundingClientRect(), {root} = this.layout;
    if (!width || !root.width) return;
    const scale = Math.min(width / root.width, height / root.height, 1.2);
    this.view = {scale, x: (width - root.width * scale) / 2, y: Math.max((height - root.height * scale) / 2, 0)};
    this.apply();
  }

  // What fits in width, from the top: a deep graph is no thin line then.
  begin() {
    const {width} = this.svg.getBoundingClientRect(), {root} = this.layout;
    const scale = Math.min(Math.max(width / root.width, .5), 1);
    this.view = {scale, x: (width - root.width * scale) / 2, y: 8};
    this.apply();
  }

  apply() {
    const {x, y, scale} = this.view;
    this.world.setAttribute("transform", `translate(${x} ${y}) scale(${scale})`);
  }

  zoom(factor, x, y) {
    const {width, height} = this.svg.getBoundingClientRect(), view = this.view;
    [x, y] = [x ?? width / 2, y ?? height / 2];
    const scale = Math.min(Math.max(view.scale * factor, .03), 4);
    view.x = x - (x - view.x) * scale / view.scale;
    view.y = y - (y - view.y) * scale / view.scale;
    view.scale = scale;
    this.apply();
  }

  wheel(event) {
    // The page scrolls, unless the graph has been clicked into, or with Ctrl.
    if (!event.ctrlKey && !event.metaKey && !this.svg.contains(document.activeElement)) return;
    event.preventDefault();
    const {left, top} = this.svg.getBoundingClientRect();
    this.zoom(Math.exp(-event.deltaY * (event.ctrlKey ? .01 : .0018)), event.clientX - left, event.clientY - top);
  }

  down(event) {
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    this.from = [event.clientX, event.clientY];
    this.moved = false;
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = [event.clientX, event.clientY];
    if (this.pointers.size === 2) {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const apart = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
      const {left, top} = this.svg.getBoundingClientRect();
      this.zoom(apart(now) / Math.max(apart(before), 1), (now[0] + other[0]) / 2 - left, (now[1] + other[1]) / 2 - top);
      this.moved = true;
    } else if (this.moved || Math.hypot(now[0] - this.from[0], now[1] - this.from[1]) > 4) {
      if (!this.moved) this.svg.setPointerCapture(event.pointerId);
      this.moved = true;
      this.svg.classList.add("is-dragged");
      this.view.x += now[0] - before[0];
      this.view.y += now[1] - before[1];
      this.apply();
    }
    this.pointers.set(event.pointerId, now);
  }

  up(event) {
    const item = event.target.closest?.(".node")?.item;
    if (this.pointers.delete(event.pointerId) && event.type === "pointerup" && !this.moved && item) this.press(item);
    if (!this.pointers.size) this.svg.classList.remove("is-dragged");
  }

  press(item) {
    if (item.items) this.toggle(item);
    else {
      const value = item.node.out.find((each) => this.model.has(each));
      if (value !== undefined) this.choose(value);
      item.box.focus({preventScroll: true});
    }
  }

  toggle(scope) {
    const before = this.shown.get(scope);
    this.layout.toggle(scope);
    this.draw();
    // It stays where it is on the screen.
    const after = this.shown.get(scope), {scale} = this.view;
    this.view.x += (before.x - after.x) * scale;
    this.view.y += (before.y - after.y) * scale;
    this.apply();
    scope.box.focus({preventScroll: true});
  }

  key(event) {
    const item = event.target.closest?.(".node")?.item;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const zooms = {"+": 1.25, "=": 1.25, "-": .8};
    if (zooms[event.key]) this.zoom(zooms[event.key]);
    else if (event.key === "0") this.fit();
    else if (item && (event.key === "Enter" || event.key === " ")) this.press(item);
    else if (item && event.key.startsWith("Arrow")) this.neighbour(item, event.key);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // The nearest box in a direction has the focus next.
  neighbour(item, key) {
    const centre = (each) => {
      const {x, y} = this.shown.get(each);
      return [x + each.width / 2, y + (each.open && each.items ? 12 : each.height / 2)];
    };
    const [x, y] = centre(item), along = key === "ArrowUp" || key === "ArrowDown" ? 1 : 0;
    const sign = key === "ArrowDown" || key === "ArrowRight" ? 1 : -1;
    let best = null, least = Infinity;
    for (const other of this.shown.keys()) {
      const at = centre(other), ahead = sign * (at[along] - [x, y][along]);
      if (ahead < 4) continue;
      const distance = ahead + 2.5 * Math.abs(at[1 - along] - [x, y][1 - along]);
      if (distance < least) [best, least] = [other, distance];
    }
    if (!best) return;
    item.box.setAttribute("tabindex", -1);
    best.box.setAttribute("tabindex", 0);
    best.box.focus({preventScroll: true});
    this.bring(best);
  }
}
