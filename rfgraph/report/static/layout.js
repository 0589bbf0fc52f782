// The graph as scopes within scopes, each laid out by itself with dagre: what is closed is one box.
"use strict";

class Layout {
  // A scope with more than this directly in it is cut into runs of nodes.
  static MOST = 60;
  // A scope with lines from more nodes than this has one place where they enter.
  static PORTS = 6;
  // As many boxes are open at first.
  static FIRST = 40;

  constructor(model) {
    this.model = model;
    const nodes = [
      ...model.inputs.map((value) => ({name: model.names[value], op: "input", in: [], out: [value], path: [], input: true})),
      ...model.data.nodes,
    ];
    this.root = {name: "", items: [], open: true, first: 0, total: nodes.length};
    this.leaves = nodes.map((node, k) => ({node, first: k, total: 1, name: this.title(node)}));
    for (const leaf of this.leaves) this.place(leaf);
    this.tidy(this.root);
    this.parents(this.root);
    this.link();
    this.open();
  }

  title(node) {
    const own = node.name.split("/").filter(Boolean).pop() || node.name;
    return own === node.op ? "" : own;
  }

  place(leaf) {
    let scope = this.root;
    for (const name of leaf.node.path || []) {
      scope.known ||= new Map();
      let next = scope.known.get(name);
      if (!next) {
        next = {name, items: [], open: false, first: leaf.first, total: 0};
        scope.known.set(name, next);
        scope.items.push(next);
      }
      next.total++;
      scope = next;
    }
    scope.items.push(leaf);
  }

  // Scopes of one thing are that thing; long ones are cut.
  tidy(scope) {
    scope.items = scope.items.map((item) => {
      let name = item.name;
      while (item.items && item.items.length === 1) {
        const [only] = item.items;
        if (!only.items) { only.scope = name; return only; }
        name = `${name}/${only.name}`;
        item = only;
      }
      if (item.items) { item.name = name; this.tidy(item); }
      return item;
    });
    while (scope.items.length > Layout.MOST) {
      const size = Math.max(Math.ceil(scope.items.length / Layout.MOST), 20);
      const runs = [];
      for (let k = 0; k < scope.items.length; k += size) {
        const items = scope.items.slice(k, k + size), last = items[items.length - 1];
        const total = items.reduce((n, item) => n + item.total, 0);
        runs.push({name: `nodes ${items[0].first} to ${last.first + last.total - 1}`, items, open: false,
          first: items[0].first, total, run: true});
      }
      scope.items = runs;
    }
  }

  parents(scope) {
    for (const item of scope.items) {
      item.parent = scope;
      if (item.items) this.parents(item);
    }
  }

  // The edges at each scope, between its items, and which of them take from and give to outside.
  link() {
    const made = new Map(this.leaves.flatMap((leaf) => leaf.node.out.map((value) => [value, leaf])));
    for (const leaf of this.leaves) {
      for (const [inner, first] of leaf.node.carried || []) if (!made.has(inner)) made.set(inner, made.get(first));
    }
    const chain = (item) => { const found = []; for (; item; item = item.parent) found.unshift(item); return found; };
    const chains = new Map(this.leaves.map((leaf) => [leaf, chain(leaf)]));
    const add = (map, key, item) => map.set(key, (map.get(key) || new Set()).add(item));
    for (const leaf of this.leaves) {
      for (const value of leaf.node.in) {
        const from = made.get(value);
        if (!from || from === leaf) continue;
        const [up, down] = [chains.get(from), chains.get(leaf)];
        let k = 0;
        while (up[k + 1] === down[k + 1]) k++;
        const edges = (up[k].edges ||= new Map());
        if (!edges.has(up[k + 1])) edges.set(up[k + 1], new Map());
        add(edges.get(up[k + 1]), down[k + 1], from);
        for (let j = k + 1; j < up.length - 1; j++) add(up[j].gives ||= new Map(), from, up[j + 1]);
        for (let j = k + 1; j < down.length - 1; j++) add(down[j].takes ||= new Map(), from, down[j + 1]);
      }
    }
  }

  // Open from the outermost scope on, as long as that is not too much.
  open() {
    let boxes = this.root.items.length;
    const pending = this.root.items.filter((item) => item.items);
    while (pending.length) {
      const scope = pending.shift();
      if (scope.run || boxes + scope.items.length > Layout.FIRST) continue;
      scope.open = true;
      boxes += scope.items.length;
      pending.push(...scope.items.filter((item) => item.items));
    }
  }

  // Sizes and places of all that is to be seen, relative to the scope around it.
  arrange(scope = this.root) {
    if (scope.arranged) return;
    for (const item of scope.items) {
      if (item.items && item.open) { this.arrange(item); continue; }
      const [head, sub] = this.labels(item);
      item.width = Math.max(70, 7 * head.length + 22, 6.4 * sub.length + 18);
      item.height = sub ? 38 : 28;
    }
    const graph = new dagre.graphlib.Graph();
    graph.setGraph({rankdir: "TB", nodesep: 14, ranksep: 22, edgesep: 8, marginx: 12, marginy: 12});
    graph.setDefaultEdgeLabel(() => ({}));
    scope.items.forEach((item, k) => { item.key = String(k); graph.setNode(item.key, {width: item.width, height: item.height}); });
    for (const [from, all] of scope.edges || []) for (const to of all.keys()) graph.setEdge(from.key, to.key);
    scope.entries = Layout.ports(scope.takes);
    scope.exits = Layout.ports(scope.gives);
    const ports = new Map();
    for (const [name, all] of [["in", scope.entries], ["out", scope.exits]]) {
      all.forEach((port, k) => {
        const key = name + k;
        ports.set(key, port);
        graph.setNode(key, {width: 1, height: 1});
        for (const item of port.items) if (name === "in") graph.setEdge(key, item.key); else graph.setEdge(item.key, key);
      });
    }
    dagre.layout(graph);
    const head = scope === this.root ? 0 : 24, size = graph.graph();
    for (const item of scope.items) {
      const {x, y} = graph.node(item.key);
      Object.assign(item, {x: x - item.width / 2, y: y - item.height / 2 + head});
    }
    scope.width = Math.max(size.width, scope === this.root ? 0 : 7.4 * scope.name.length + 40);
    scope.height = size.height + head;
    for (const [key, port] of ports) port.x = graph.node(key).x;
    scope.lines = graph.edges().flatMap((edge) => {
      const points = graph.edge(edge).points.map(({x, y}) => [x, y + head]);
      const [from, to] = [scope.items[edge.v], scope.items[edge.w]];
      const port = ports.get(edge.v) || ports.get(edge.w);
      const sources = port ? port.sources : scope.edges.get(from).get(to);
      // Into an open scope, and out of it, lines go on within it: one for each value's way.
      const starts = from ? Layout.ends(from, from.exits, sources, [from.x, from.y + from.height], points[0]) : [[port.x, 0]];
      const ends = to ? Layout.ends(to, to.entries, sources, [to.x, to.y], points[points.length - 1]) : [[port.x, scope.height]];
      const many = Math.max(starts.length, ends.length);
      return Array.from({length: many}, (_, k) => ({from: from || null, to: to || null,
        points: [starts[Math.min(k, starts.length - 1)], ...points.slice(1, -1), ends[Math.min(k, ends.length - 1)]]}));
    });
    scope.arranged = true;
  }

  // Where lines enter or leave a scope: a port for each node that they come from, if these are few.
  static ports(all) {
    const found = [...all || []].map(([source, items]) => ({sources: new Set([source]), items}));
    if (found.length <= Layout.PORTS) return found;
    const items = new Set(found.flatMap((port) => [...port.items]));
    return [{sources: new Set(all.keys()), items}];
  }

  // The ends of a line at an item: the ports of one that is open, else where dagre has it.
  static ends(item, ports, sources, [x, y], otherwise) {
    if (!item.items || !item.open) return [otherwise];
    const own = ports.filter((port) => [...sources].some((source) => port.sources.has(source)));
    return own.length ? own.map((port) => [x + port.x, y]) : [otherwise];
  }

  labels(item) {
    if (item.items) return [Elements.shortened(item.name, 34), `${item.total} nodes`];
    const sub = item.scope || item.name;
    return [item.node.input ? item.node.name : item.node.op, item.node.input ? "input" : Elements.shortened(sub, 30)];
  }

  // What is around a scope has to be laid out anew.
  changed(scope) { for (; scope; scope = scope.parent) scope.arranged = false; }

  toggle(scope) {
    scope.open = !scope.open;
    this.changed(scope);
  }

  all(open) {
    let boxes = 0;
    const visit = (scope) => {
      for (const item of scope.items) {
        boxes++;
        if (!item.items) continue;
        item.arranged = false;
        item.open = open && boxes + item.items.length < 600;
        if (item.open || !open) visit(item);
      }
    };
    visit(this.root);
    this.root.arranged = false;
    return boxes;
  }

  // Opens what is around a node.
  reveal(leaf) {
    let changed = false;
    for (let scope = leaf.parent; scope && scope !== this.root; scope = scope.parent) {
      if (!scope.open) { scope.open = true; changed = true; }
    }
    if (changed) this.changed(leaf.parent);
    return changed;
  }
}
