"use strict";
// The views of a report: sortable tables, and for each model its network, its charts and its layers.
// All that comes from a model is set as text, never as markup.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const GRAVITY = ["info", "warning", "error"];
  /** Layers up to which a network is shown with its repeats unfolded. */
  const SMALL = 40;
  /** Layers up to which a group opens to all of them, and not to its blocks first. */
  const AT_ONCE = 160;

  function make(tag, attributes = {}, ...children) {
    return filled(document.createElement(tag), attributes, children);
  }

  function draw(tag, attributes = {}, ...children) {
    return filled(document.createElementNS(SVG, tag), attributes, children);
  }

  function filled(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value !== undefined && value !== false) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  }

  /** A name in at most so many characters; its ends tell it from others. */
  function shortened(name, most) {
    if (name.length <= most) return name;
    const head = Math.floor((most - 1) / 3);
    return `${name.slice(0, head)}…${name.slice(head + 1 - most)}`;
  }

  const plural = (number, noun) => `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`;
  const percent = (part, whole) => `${((100 * part) / whole).toFixed(1)}%`;

  /** A round number for an axis: "1.5 M". */
  function rounded(number, unit = "") {
    const units = ["", " k", " M", " G", " T", " P"];
    let scale = 0;
    while (Math.abs(number) >= 1000 && scale < units.length - 1) [number, scale] = [number / 1000, scale + 1];
    const space = unit && !units[scale] ? " " : "";
    return `${+number.toPrecision(3)}${units[scale]}${space}${unit}`;
  }

  // ---------------------------------------------------------------- tables

  /** Let the heads of a table sort it, and a field above it filter its rows. */
  function sortable(table, noun) {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = make("button", { type: "button", class: "sort" }, head.textContent);
      button.addEventListener("click", () => {
        const descending = head.getAttribute("aria-sort") === "ascending"
          || (head.classList.contains("number") && !head.hasAttribute("aria-sort"));
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        body.append(...sorted([...body.rows], column, descending));
      });
      head.replaceChildren(button);
    });
    const count = make("span", { class: "count", role: "status" });
    const field = make("input", { type: "search", placeholder: `Filter ${noun}s`, "aria-label": `Filter ${noun}s` });
    const apply = () => {
      const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        shown += !row.hidden;
      }
      count.textContent = words.length ? `${shown} of ${plural(rows.length, noun)}` : plural(rows.length, noun);
    };
    field.addEventListener("input", apply);
    apply();
    if (rows.length > 2) table.parentElement.before(make("div", { class: "filter" }, field, count));
  }

  function sorted(rows, column, descending) {
    const key = (row) => {
      const cell = row.cells[column];
      if (!cell) return -2; // a model that could not be read has one wide cell
      return cell.dataset.value === undefined ? cell.textContent : Number(cell.dataset.value);
    };
    const compare = (a, b) => (typeof a === "string" && typeof b === "string"
      ? a.localeCompare(b, "en", { numeric: true }) : Number(a) - Number(b));
    const keyed = rows.map((row) => [key(row), row]).sort(([a], [b]) => compare(a, b));
    if (descending) keyed.reverse();
    return keyed.map(([, row]) => row);
  }

  // ---------------------------------------------------------------- what is shown of a network

  /** Which layers are drawn, and which are folded into a group or one of its blocks. */
  class Outline {
    constructor(data) {
      this.data = data;
      this.opened = new Set();
      if (data.layers.length <= SMALL) this.openAll();
    }

    openAll() {
      this.data.repeats.forEach(([, , times], group) => {
        this.opened.add(`${group}`);
        for (let block = 0; block < times; block += 1) this.opened.add(`${group}.${block}`);
      });
    }

    closeAll() { this.opened.clear(); }

    toggle(key) {
      if (this.opened.has(key)) {
        for (const other of [...this.opened]) if (other === key || other.startsWith(`${key}.`)) this.opened.delete(other);
        return;
      }
      this.opened.add(key);
      const [, period, times] = this.data.repeats[Number(key.split(".")[0])];
      if (key.includes(".") || (times > 1 && period * times > AT_ONCE)) return;
      for (let block = 0; block < times; block += 1) this.opened.add(`${key}.${block}`);
    }

    /** Open what a layer is folded into; return whether anything changed. */
    reveal(layer) {
      const group = this.data.repeats.findIndex(([start, period, times]) => layer >= start && layer < start + period * times);
      if (group < 0) return false;
      const [start, period] = this.data.repeats[group];
      const block = `${group}.${Math.floor((layer - start) / period)}`;
      const before = this.opened.size;
      if (!this.opened.has(`${group}`)) this.toggle(`${group}`);
      this.opened.add(block);
      return this.opened.size !== before;
    }

    /** The items to draw, in the order of the layers; each stands for the layers from `from` to before `to`. */
    items() {
      const items = [];
      const layers = (from, to) => {
        for (let at = from; at < to; at += 1) items.push({ key: `l${at}`, from: at, to: at + 1 });
      };
      let at = 0;
      this.data.repeats.forEach(([start, period, times, places], group) => {
        const end = start + period * times;
        layers(at, start);
        if (!this.opened.has(`${group}`)) items.push({ key: `${group}`, from: start, to: end, times, period, places });
        else {
          for (let block = 0; block < times; block += 1) {
            const [from, to, key] = [start + block * period, start + (block + 1) * period, `${group}.${block}`];
            if (this.opened.has(key)) layers(from, to);
            else items.push({ key, from, to, times: 1, period });
          }
        }
        at = end;
      });
      layers(at, this.data.layers.length);
      return items;
    }

    /** The stretches that are open, each with the layers in it: they get a frame. */
    frames() {
      return [...this.opened].flatMap((key) => {
        const [group, block] = key.split(".").map(Number);
        const [start, period, times] = this.data.repeats[group];
        if (block === undefined) return [{ key, from: start, to: start + period * times, text: times > 1 ? `${times} ×` : "block" }];
        if (times === 1 || period * times <= AT_ONCE) return [];
        return [{ key, from: start + block * period, to: start + (block + 1) * period, text: `block ${block + 1}` }];
      });
    }
  }

  /** The edges between items, as pairs of their indexes. */
  function edgesOf(items, layers) {
    const owner = [];
    items.forEach((item, index) => { for (let at = item.from; at < item.to; at += 1) owner[at] = index; });
    const edges = new Map();
    layers.forEach((layer, at) => {
      for (const before of layer.after ?? []) {
        const [from, to] = [owner[before], owner[at]];
        if (from !== to) edges.set(`${from} ${to}`, [from, to]);
      }
    });
    return [...edges.values()];
  }

  // ---------------------------------------------------------------- layout

  const GAP = 24;

  /** Pixels of a printed page, the pages that a network may fill, and the scale at which its text is legible there. */
  const PAPER = { width: 690, height: 860, pages: 4, legible: 0.55, chart: { width: 316, height: 130 } };

  /**
   * Give each item its center (x, y), and return the lines of the edges.
   *
   * Wherever one item feeds all that comes later, the network is cut: the parts are laid out one by one and hung below
   * each other. So a thousand layers in blocks take as long as their blocks, and not the square of it.
   */
  function layOut(items, edges) {
    const last = items.map((_, index) => index);
    const from = items.map(() => []);
    for (const edge of edges) {
      last[edge[0]] = Math.max(last[edge[0]], edge[1]);
      from[edge[0]].push(edge);
    }
    const lines = [];
    let [reach, start] = [0, 0];
    items[0].x = 0;
    items[0].y = 0;
    for (let index = 1; index < items.length; index += 1) {
      reach = Math.max(reach, last[index - 1]);
      if (reach > index && index < items.length - 1) continue;
      lines.push(...layOutPart(items, from, start, index));
      start = index;
    }
    return lines;
  }

  /** Lay out the items from `start`, which has its place, to `end`. */
  function layOutPart(items, from, start, end) {
    const [head, tail] = [items[start], items[end]];
    if (end === start + 1 && from[start].length === 1) {
      tail.x = head.x;
      tail.y = head.y + head.height / 2 + GAP + tail.height / 2;
      return [{ from: start, to: end, points: [bottom(head), top(tail)] }];
    }
    const graph = new dagre.graphlib.Graph();
    const ranker = end - start > 300 ? "longest-path" : "network-simplex";
    graph.setGraph({ rankdir: "TB", nodesep: 18, edgesep: 14, ranksep: GAP, ranker });
    graph.setDefaultEdgeLabel(() => ({}));
    for (let at = start; at <= end; at += 1) graph.setNode(String(at), { width: items[at].width, height: items[at].height });
    const edges = [];
    for (let at = start; at < end; at += 1) for (const edge of from[at]) edges.push(edge);
    for (const [a, b] of edges) graph.setEdge(String(a), String(b));
    dagre.layout(graph);
    const anchor = graph.node(String(start));
    const [dx, dy] = [head.x - anchor.x, head.y - anchor.y];
    for (let at = start; at <= end; at += 1) {
      const { x, y } = graph.node(String(at));
      items[at].x = x + dx;
      items[at].y = y + dy;
    }
    return edges.map(([a, b]) => ({
      from: a, to: b,
      points: graph.edge(String(a), String(b)).points.map(({ x, y }) => ({ x: x + dx, y: y + dy })),
    }));
  }

  const top = (item) => ({ x: item.x, y: item.y - item.height / 2 });
  const bottom = (item) => ({ x: item.x, y: item.y + item.height / 2 });

  /** A smooth path through points: curves whose corners are the points between. */
  function path(points) {
    const [first, ...rest] = points;
    let text = `M${first.x},${first.y}`;
    for (let at = 0; at < rest.length; at += 1) {
      const point = rest[at];
      const next = rest[at + 1];
      if (next) text += ` Q${point.x},${point.y} ${(point.x + next.x) / 2},${(point.y + next.y) / 2}`;
      else text += ` L${point.x},${point.y}`;
    }
    return text;
  }

  // ---------------------------------------------------------------- the network drawn

  /** The picture of the network: it calls `select` with a layer, and `changed` when something was opened. */
  class Picture {
    constructor(data, select) {
      this.data = data;
      this.select = select;
      this.outline = new Outline(data);
      this.zoom = 1;
      this.current = 0;
      this.mostMacs = Math.max(1, ...data.layers.map((layer) => layer.macs[0] ?? 0));
      this.svg = draw("svg", { role: "group", "aria-label": "The network, from its input to its output" });
      this.pane = make("div", { class: "pane" }, this.svg);
      this.svg.addEventListener("keydown", (event) => this.key(event));
      this.element = make("div", { class: "picture" }, this.toolbar(), this.pane);
      this.render();
    }

    toolbar() {
      const button = (text, label, action) => make("button", { type: "button", "aria-label": text.length === 1 && label, title: label, onclick: action }, text);
      const bar = make("div", { class: "toolbar" },
        button("−", "Smaller", () => this.scale(this.zoom / 1.25)),
        button("+", "Larger", () => this.scale(this.zoom * 1.25)),
        button("Fit", "Fit the width", () => this.fit()));
      if (this.data.repeats.length) {
        bar.append(
          button("Unfold all", "Show every layer", () => { this.outline.openAll(); this.render(); }),
          button("Fold all", "Fold what repeats", () => { this.outline.closeAll(); this.render(); }));
      }
      bar.append(make("span", { class: "hint" }, "Click a layer, or use the arrow keys and Enter."));
      return bar;
    }

    render() {
      this.items = this.outline.items();
      this.items.forEach((item) => this.measure(item));
      this.edges = edgesOf(this.items, this.data.layers);
      const lines = layOut(this.items, this.edges);
      this.current = Math.min(this.current, this.items.length - 1);
      const xs = [...this.items.flatMap((item) => [item.x - item.width / 2, item.x + item.width / 2]),
        ...lines.flatMap((line) => line.points.map(({ x }) => x))];
      const ys = this.items.flatMap((item) => [item.y - item.height / 2, item.y + item.height / 2]);
      const reach = (values, pick) => values.reduce((a, b) => pick(a, b));
      const margin = 26;
      this.box = {
        x: reach(xs, Math.min) - margin, y: reach(ys, Math.min) - margin,
        width: reach(xs, Math.max) - reach(xs, Math.min) + 2 * margin,
        height: reach(ys, Math.max) - reach(ys, Math.min) + 2 * margin,
      };
      this.svg.setAttribute("viewBox", `${this.box.x} ${this.box.y} ${this.box.width} ${this.box.height}`);
      this.nodes = this.items.map((item, index) => this.node(item, index));
      this.svg.replaceChildren(
        draw("g", {}, ...this.outline.frames().map((frame) => this.frame(frame))),
        draw("g", { class: "edges" }, ...lines.map((line) => draw("path", { d: path(line.points) }))),
        draw("g", {}, ...this.nodes));
      this.mark();
      this.scale(this.zoom);
    }

    measure(item) {
      const layer = this.data.layers[item.from];
      if (item.times) [item.width, item.height] = [236, 64];
      else [item.width, item.height] = [236, layer.macs[0] || layer.parameters[0] || !layer.after ? 44 : 26];
    }

    scale(zoom) {
      this.zoom = Math.min(3, Math.max(0.1, zoom));
      this.svg.setAttribute("width", this.box.width * this.zoom);
      this.svg.setAttribute("height", this.box.height * this.zoom);
    }

    /** Fit the width where that leaves the text readable. */
    fit() {
      const room = this.pane.clientWidth - 4;
      if (room > 0) this.scale(Math.min(1, Math.max(0.35, room / this.box.width)));
      const item = this.items[this.current];
      this.pane.scrollLeft = (item.x - this.box.x) * this.zoom - room / 2;
    }

    node(item, index) {
      const layers = this.data.layers.slice(item.from, item.to);
      const layer = layers[0];
      const [x, y] = [item.x - item.width / 2, item.y - item.height / 2];
      const group = draw("g", {
        class: item.times ? "node folded" : `node ${layer.family}`, role: "button", tabindex: "-1",
        transform: `translate(${x},${y})`,
        onclick: () => this.activate(index),
      });
      if (item.times > 1) for (const shift of [6, 3]) group.append(draw("rect", { class: "behind", x: shift, y: shift, width: item.width, height: item.height, rx: 6 }));
      group.append(draw("rect", { class: "body", width: item.width, height: item.height, rx: 6 }));
      if (item.times) this.fold(group, item, layers);
      else this.layer(group, item, layer);
      const marks = [...new Set(layers.flatMap((each) => each.findings ?? []))];
      if (marks.length) {
        const worst = this.worst(marks);
        group.append(draw("g", { class: `mark ${worst}`, transform: `translate(${item.width - 2},2)` },
          draw("circle", { r: 9 }), draw("text", { "text-anchor": "middle", dy: "0.35em" }, String(marks.length))));
      }
      return group;
    }

    worst(marks) {
      return GRAVITY[Math.max(...marks.map((mark) => GRAVITY.indexOf(this.data.findings[mark].severity)))];
    }

    layer(group, item, layer) {
      const light = item.height < 40;
      group.append(
        draw("rect", { class: "edge", width: 5, height: item.height, rx: 2 }),
        draw("text", { class: "label", x: 14, y: light ? 17 : 18 }, shortened(layer.label, 22)),
        draw("text", { class: "shape", x: item.width - 10, y: light ? 17 : 18, "text-anchor": "end" }, shortened(layer.shape, 15)));
      if (light) return;
      const held = layer.parameters[0] ? `${layer.parameters[1]} p` : "";
      group.append(
        draw("text", { class: "name", x: 14, y: 34 }, shortened(layer.name, 33 - held.length)),
        draw("text", { class: "name", x: item.width - 10, y: 34, "text-anchor": "end" }, held));
      if (layer.macs[0]) {
        group.append(draw("rect", { class: "cost", x: 5, y: item.height - 3, height: 3,
          width: Math.max(1, (item.width - 10) * layer.macs[0] / this.mostMacs) }));
      }
    }

    fold(group, item, layers) {
      const body = layers.slice(0, item.period);
      const shape = shortened(layers.at(-1).shape, 15);
      const kernels = body.filter((layer) => layer.macs[0] || layer.family === "join").map((layer) => layer.label);
      const title = item.times > 1 ? `${item.times} × ${plural(item.period, "layer")}`
        : `${plural(item.period, "layer")}${item.places > 1 ? `, 1 of ${item.places} such` : ""}`;
      group.append(
        draw("text", { class: "label", x: 14, y: 20 }, `▸ ${title}`),
        draw("text", { class: "name", x: 14, y: 37 }, shortened(`${layers[0].name} … ${layers.at(-1).name}`, 31 - shape.length)),
        draw("text", { class: "shape", x: item.width - 10, y: 37, "text-anchor": "end" }, shape),
        draw("text", { class: "name", x: 14, y: 53 }, tailed(kernels.join(" → ") || body.map((layer) => layer.label).join(" → "), 32)));
    }

    /** Cut the picture between its layers into columns, and these into pages, so that paper shows it legibly. */
    paginate() {
      const { x, y, width, height } = this.box;
      const scaleOf = (columns, pages) => Math.min(1, (PAPER.height * columns * pages) / height, (PAPER.width / columns - GAP) / width);
      let best = { columns: 1, pages: 1, scale: scaleOf(1, 1) };
      for (let pages = 1; pages <= PAPER.pages && best.scale < PAPER.legible; pages += 1) {
        for (let columns = 1; columns <= 4; columns += 1) {
          const scale = scaleOf(columns, pages);
          if (scale > best.scale * 1.05) best = { columns, pages, scale };
        }
      }
      const cuts = this.cuts(best.columns * best.pages);
      if (cuts.length < 3) return;
      const tallest = Math.max(...cuts.slice(1).map((cut, at) => cut - cuts[at]));
      const scale = Math.min(best.scale, PAPER.height / tallest);
      const slices = cuts.slice(1).map((cut, at) => {
        const slice = this.svg.cloneNode(true);
        slice.setAttribute("viewBox", `${x} ${cuts[at]} ${width} ${cut - cuts[at]}`);
        slice.setAttribute("width", width * scale);
        slice.setAttribute("height", (cut - cuts[at]) * scale);
        return slice;
      });
      this.paper = make("div", { class: "paper", "aria-hidden": "true" });
      while (slices.length) this.paper.append(make("div", {}, ...slices.splice(0, best.columns)));
      this.element.append(this.paper);
      this.element.classList.add("cut");
    }

    /** Where to cut into so many parts of about one height, from the top edge to the lower: never through a layer. */
    cuts(parts) {
      const { y, height } = this.box;
      const rows = this.items.map((item) => [top(item).y - 4, bottom(item).y + 6]).sort(([a], [b]) => a - b);
      const between = [];
      let reach = rows[0][1];
      for (const [upper, lower] of rows) {
        if (upper > reach) between.push((upper + reach) / 2);
        reach = Math.max(reach, lower);
      }
      const cuts = [y];
      for (let part = 1; part < parts; part += 1) {
        const wanted = y + (height * part) / parts;
        const nearest = between.reduce((a, b) => (Math.abs(b - wanted) < Math.abs(a - wanted) ? b : a), y);
        if (nearest > cuts.at(-1)) cuts.push(nearest);
      }
      return [...cuts, y + height];
    }

    unpaginate() {
      this.paper?.remove();
      this.element.classList.remove("cut");
    }

    frame(frame) {
      const members = this.items.filter((item) => item.from >= frame.from && item.to <= frame.to);
      const left = Math.min(...members.map((item) => item.x - item.width / 2)) - 12;
      const right = Math.max(...members.map((item) => item.x + item.width / 2)) + 12;
      const [upper, lower] = [Math.min(...members.map((item) => top(item).y)) - 9, Math.max(...members.map((item) => bottom(item).y)) + 9];
      const close = () => { this.outline.toggle(frame.key); this.render(); };
      return draw("g", { class: "frame" },
        draw("rect", { x: left, y: upper, width: right - left, height: lower - upper, rx: 8 }),
        draw("g", { class: "fold", transform: `translate(${left + 8},${upper - 8})`, onclick: close },
          draw("rect", { width: 74, height: 17, rx: 8 }),
          draw("text", { x: 37, y: 12.5, "text-anchor": "middle" }, `▾ ${frame.text}`)));
    }

    /** Select an item, or open it if it is folded. */
    activate(index) {
      const item = this.items[index];
      this.current = index;
      if (item.times) {
        this.outline.toggle(item.key);
        this.render();
        this.current = this.items.findIndex((other) => other.from === item.from);
        this.mark();
        this.nodes[this.current].focus();
        return;
      }
      this.mark();
      this.select(item.from);
    }

    /** Show a layer, opening what it is folded into. */
    show(layer, focus = true) {
      if (this.outline.reveal(layer)) this.render();
      this.current = this.items.findIndex((item) => layer >= item.from && layer < item.to);
      this.mark();
      const item = this.items[this.current];
      this.pane.scrollTo({
        top: (item.y - this.box.y) * this.zoom - this.pane.clientHeight / 2,
        left: (item.x - this.box.x) * this.zoom - this.pane.clientWidth / 2,
      });
      if (focus) this.nodes[this.current].focus({ preventScroll: true });
    }

    mark() {
      this.marked?.setAttribute("tabindex", "-1");
      this.marked?.classList.remove("current");
      this.marked = this.nodes[this.current];
      this.marked.setAttribute("tabindex", "0");
      this.marked.classList.add("current");
    }

    key(event) {
      const step = { ArrowDown: 1, ArrowUp: -1, ArrowRight: 2, ArrowLeft: -2, Home: 3, End: 4 }[event.key];
      if (event.key === "Enter" || event.key === " ") this.activate(this.current);
      else if (event.key === "Backspace" || event.key === "f") this.foldAround();
      else if (step) this.move(step);
      else return;
      event.preventDefault();
    }

    /** Fold the group that the current layer is in. */
    foldAround() {
      const at = this.items[this.current].from;
      const frame = this.outline.frames().filter(({ from, to }) => at >= from && at < to).at(-1);
      if (!frame) return;
      this.outline.toggle(frame.key);
      this.render();
      this.current = this.items.findIndex((item) => at >= item.from && at < item.to);
      this.mark();
      this.nodes[this.current].focus();
    }

    move(step) {
      const at = this.current;
      let next = at;
      if (step === 3) next = 0;
      else if (step === 4) next = this.items.length - 1;
      else if (step === 1) next = this.edges.find(([from]) => from === at)?.[1] ?? at + 1;
      else if (step === -1) next = this.edges.find(([, to]) => to === at)?.[0] ?? at - 1;
      else next = this.beside(Math.sign(step)) ?? at;
      if (next < 0 || next >= this.items.length) return;
      this.current = next;
      this.mark();
      this.nodes[next].focus();
    }

    /** The nearest item to the right (1) or left (-1) that is about as high. */
    beside(sign) {
      const here = this.items[this.current];
      let [best, nearest] = [undefined, Infinity];
      this.items.forEach((item, index) => {
        const away = (item.x - here.x) * sign;
        const distance = away + 3 * Math.abs(item.y - here.y);
        if (away > 10 && Math.abs(item.y - here.y) < 90 && distance < nearest) [best, nearest] = [index, distance];
      });
      return best;
    }
  }

  const tailed = (text, most) => (text.length <= most ? text : `${text.slice(0, most - 1)}…`);

  // ---------------------------------------------------------------- one layer in full

  class Details {
    constructor(data, show) {
      this.data = data;
      this.show = show;
      this.body = make("div", {});
      const close = make("button", { type: "button", class: "close", "aria-label": "Close", onclick: () => this.close() }, "×");
      this.element = make("aside", { class: "layer-details", "aria-label": "The layer that is selected", "aria-live": "polite" }, close, this.body);
      this.body.append(make("p", { class: "hint" }, "Select a layer to see its shapes, formulas and costs."));
    }

    close() { this.element.classList.remove("shown"); }

    select(at) {
      const layer = this.data.layers[at];
      const { totals, per } = this.data;
      const rows = [];
      const add = (name, value, code = false) => { if (value) rows.push([name, value, code]); };
      const of = ([number], whole) => (number && whole ? ` (${percent(number, whole)} of all)` : "");
      add("Operator", layer.op);
      (layer.inputs ?? []).forEach((shape, index, all) => add(all.length > 1 ? `Input ${index + 1}` : "Input", shape, true));
      add("Output", layer.shape, true);
      for (const [axis, formula] of layer.outputs ?? []) add(`Output ${axis}`, formula, true);
      add("Parameters", layer.parameters[1] + (layer.shared ? ` (shared with ${layer.shared}, counted there)` : of(layer.parameters, totals.parameters)));
      add("", layer.formula, true);
      add("", layer.words);
      add(`MACs per ${per}`, `${layer.macsExact}${layer.macs[0] >= 1000 ? ` = ${layer.macs[1]}` : ""}${of(layer.macs, totals.macs)}`);
      add("", layer.macFormula, true);
      add("Output memory", layer.memory[1]);
      add("Alive with it", layer.alive[1] + of(layer.alive, totals.peak).replace("of all", "of the peak"));
      add("Receptive field", layer.field[1] === "-" ? "none" : `${layer.field[1]}${this.data.imageText ? `, of an image of ${this.data.imageText}` : ""}`);
      add("Includes", (layer.merged ?? []).join(", "));
      const list = make("dl", {});
      for (const [name, value, code] of rows) list.append(make("dt", {}, name), make("dd", {}, code ? make("code", {}, value) : value));
      this.body.replaceChildren(
        make("h4", {}, layer.label), make("p", { class: "full-name" }, layer.name), list, ...this.findings(layer), this.neighbors(at));
      this.element.classList.add("shown");
      this.element.scrollTop = 0;
    }

    findings(layer) {
      return (layer.findings ?? []).map((mark) => {
        const finding = this.data.findings[mark];
        return make("p", { class: "at-layer" },
          make("a", { href: `#${finding.id}`, class: `badge ${finding.severity}` }, finding.code), ` ${finding.text}`);
      });
    }

    neighbors(at) {
      const before = this.data.layers[at].after ?? [];
      const after = this.data.layers.flatMap((layer, index) => ((layer.after ?? []).includes(at) ? [index] : []));
      const link = (index) => make("button", { type: "button", class: "link", onclick: () => this.show(index) }, this.data.layers[index].name);
      const line = (text, indexes) => (indexes.length
        ? [make("p", { class: "near" }, `${text} `, ...indexes.slice(0, 8).flatMap((index, place) => (place ? [", ", link(index)] : [link(index)])),
          indexes.length > 8 ? ` and ${indexes.length - 8} more` : "")] : []);
      return make("div", {}, ...line("after", before), ...line("before", after));
    }
  }

  // ---------------------------------------------------------------- charts

  const dark = matchMedia("(prefers-color-scheme: dark)");
  let printing = false;
  const INK = {
    light: { text: "#59636e", grid: "#e4e8ec", parameters: "#7a4fd0", macs: "#1f6feb", memory: "#12805c", field: "#b35900", image: "#c62828" },
    dark: { text: "#9aa5b1", grid: "#2b323b", parameters: "#b392f0", macs: "#6cb0ff", memory: "#56d4a4", field: "#f0a95c", image: "#ff8a80" },
  };
  const ink = (name) => INK[dark.matches && !printing ? "dark" : "light"][name];
  const plots = new Set();

  /** A chart over the layers. `told` gives the text for a layer, `lines` the series: [values, color, filled]. */
  class Chart {
    constructor({ title, said, told, lines, axis, data, key, select }) {
      this.caption = make("p", { class: "caption" }, said);
      this.said = said;
      this.told = (at) => `${data.layers[at].name}: ${told(data.layers[at])}`;
      this.canvas = make("div", { class: "canvas", role: "img", "aria-label": `${title} over the layers. ${said}` });
      this.element = make("figure", { class: "chart" }, make("figcaption", {}, title), this.caption, this.canvas);
      this.lines = lines;
      this.options = { axis, key, select, count: data.layers.length };
    }

    /** Draw it, once the element has its width. */
    start() {
      const { axis, key, select, count } = this.options;
      const axes = { stroke: () => ink("text"), grid: { stroke: () => ink("grid"), width: 1 }, ticks: { show: false }, font: "11px system-ui, sans-serif" };
      const series = this.lines.map(([, color, fill]) => ({
        stroke: () => ink(color), width: fill ? 1 : 1.5, points: { show: false }, dash: color === "image" ? [5, 4] : undefined,
        fill: fill ? () => `${ink(color)}44` : undefined, paths: color === "image" ? undefined : uPlot.paths.stepped({ align: 1 }),
      }));
      const end = count; // the last step needs an end
      const extended = (values) => [...values, values.at(-1)];
      this.plot = new uPlot({
        width: this.canvas.clientWidth || 300, height: 150, legend: { show: false },
        cursor: { sync: { key }, y: false, points: { show: false }, drag: { x: false, y: false } },
        scales: { x: { time: false, range: [0, end] }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.06 : 1] } },
        axes: [
          { ...axes, grid: { show: false }, size: 26, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? tick : "")) },
          { ...axes, size: 56, values: (_, ticks) => ticks.map((tick) => rounded(tick, axis)) },
        ],
        series: [{}, ...series],
        hooks: { setCursor: [(plot) => this.hover(plot, count)] },
      }, [Array.from({ length: count + 1 }, (_, at) => at), ...this.lines.map(([values]) => extended(values))], this.canvas);
      this.plot.over.addEventListener("click", () => select(this.at(this.plot, count)));
      plots.add(this.plot);
      new ResizeObserver(() => {
        if (this.canvas.clientWidth && this.canvas.clientWidth !== this.plot.width) this.plot.setSize({ width: this.canvas.clientWidth, height: 150 });
      }).observe(this.canvas);
    }

    at(plot, count) {
      return Math.max(0, Math.min(count - 1, Math.floor(plot.posToVal(plot.cursor.left, "x"))));
    }

    hover(plot, count) {
      const inside = plot.cursor.left >= 0;
      this.caption.textContent = inside ? this.told(this.at(plot, count)) : this.said;
    }
  }

  const redraw = () => plots.forEach((plot) => plot.redraw());
  dark.addEventListener("change", redraw);

  function chartsOf(data, key, select) {
    const { layers, totals } = data;
    const largest = (field, whole, noun) => {
      const at = layers.reduce((best, layer, index) => ((layer[field][0] ?? -1) > (layers[best][field][0] ?? -1) ? index : best), 0);
      const layer = layers[at];
      if (!layer[field][0]) return `No layer has ${noun} that are known.`;
      return `Most in ${layer.name}: ${layer[field][1]}${whole ? `, ${percent(layer[field][0], whole)}` : ""}`;
    };
    const values = (field) => layers.map((layer) => layer[field][0]);
    const common = { data, key, select };
    const charts = [
      new Chart({ ...common, title: "Parameters", said: largest("parameters", totals.parameters, "parameters"), axis: "",
        told: (layer) => layer.parameters[1], lines: [[values("parameters"), "parameters", true]] }),
      new Chart({ ...common, title: `MACs per ${data.per}`, said: largest("macs", totals.macs, "MACs"), axis: "",
        told: (layer) => layer.macs[1], lines: [[values("macs"), "macs", true]] }),
      new Chart({ ...common, title: "Activation memory: all alive (line), own output (filled)", said: largest("alive", null, "activations").replace("Most in", "Peak at"), axis: "B",
        told: (layer) => `${layer.alive[1]} alive, ${layer.memory[1]} its own`,
        lines: [[values("memory"), "memory", true], [values("alive"), "memory", false]] }),
    ];
    if (layers.some((layer) => (layer.field[0] ?? 0) > 1)) charts.push(fieldChart(data, common, values("field")));
    return charts;
  }

  function fieldChart(data, common, values) {
    const image = data.image ? Math.max(...data.image) : null;
    const past = image === null ? -1 : values.findIndex((field) => field > image);
    const most = Math.max(...values.map((field) => field ?? 0)).toLocaleString("en-US");
    let said = `Largest: ${most}`;
    if (image !== null) said = past < 0 ? `${said}; the image is ${data.imageText}` : `Larger than the image of ${data.imageText} from ${data.layers[past].name} on`;
    const lines = [[values, "field", true]];
    if (image !== null) lines.push([values.map(() => image), "image", false]);
    return new Chart({ ...common, title: image === null ? "Receptive field" : "Receptive field (filled), the image (dashed)", said, axis: "",
      told: (layer) => layer.field[1], lines });
  }

  /** What each kind of layer comes to, as bars. */
  function kindsOf(data) {
    const kinds = new Map();
    for (const layer of data.layers) {
      if (layer.kind === "Input") continue;
      const sum = kinds.get(layer.kind) ?? { layers: 0, parameters: 0, macs: 0 };
      sum.layers += 1;
      sum.parameters += layer.shared ? 0 : layer.parameters[0] ?? 0;
      sum.macs += layer.macs[0] ?? 0;
      kinds.set(layer.kind, sum);
    }
    const rows = [...kinds].filter(([, sum]) => sum.parameters || sum.macs).sort(([, a], [, b]) => b.macs - a.macs || b.parameters - a.parameters);
    const bar = (part, whole, color) => {
      const cell = make("td", { class: `bar ${color}` }, make("span", {}, whole ? percent(part, whole) : ""));
      cell.style.setProperty("--part", whole ? part / whole : 0);
      return cell;
    };
    const head = make("thead", {}, make("tr", {}, ...["Kind", "Layers", "Parameters", "MACs"].map((text) => make("th", { class: text === "Layers" ? "number" : "" }, text))));
    const body = make("tbody", {}, ...rows.map(([kind, sum]) => make("tr", {}, make("td", {}, kind), make("td", { class: "number" }, String(sum.layers)),
      bar(sum.parameters, data.totals.parameters, "parameters"), bar(sum.macs, data.totals.macs, "macs"))));
    return make("table", { class: "kinds" }, head, body);
  }

  // ---------------------------------------------------------------- all layers

  function layerTable(data, show) {
    const heads = [["Layer"], ["Kind"], ["Output"], ["Parameters", "number"], ["MACs", "number"], ["Memory", "number"], ["Field", "number"]];
    const number = ([value, text]) => make("td", { class: "number", "data-value": value ?? -1 }, text);
    const rows = data.layers.map((layer, at) => make("tr", {},
      make("td", { class: "name" }, make("button", { type: "button", class: "link", onclick: () => show(at) }, layer.name)),
      make("td", {}, layer.label), make("td", { class: "mono" }, layer.shape),
      number(layer.parameters), number(layer.macs), number(layer.memory), number(layer.field)));
    const table = make("table", { class: "layers" },
      make("thead", {}, make("tr", {}, ...heads.map(([text, kind]) => make("th", { class: kind ?? "" }, text)))), make("tbody", {}, ...rows));
    const holder = make("div", {}, make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "All layers" }, table));
    sortable(table, "layer");
    return holder;
  }

  // ---------------------------------------------------------------- a model

  /** The view of one model: its charts, its network with the details of a layer, and the table of its layers. */
  class ModelView {
    constructor(root, data, key) {
      this.details = new Details(data, (at) => this.show(at));
      this.picture = new Picture(data, (at) => this.details.select(at));
      const charts = chartsOf(data, key, (at) => this.show(at));
      const layers = make("details", { class: "all-layers" }, make("summary", {}, make("h3", {}, `All ${plural(data.layers.length, "layer")}`)));
      layers.addEventListener("toggle", () => { if (layers.open && layers.children.length === 1) layers.append(layerTable(data, (at) => this.show(at))); });
      root.append(
        make("section", {}, make("h3", {}, "Where it goes"), make("div", { class: "charts" }, ...charts.map((chart) => chart.element)), make("div", { class: "wide" }, kindsOf(data))),
        make("section", {}, make("h3", {}, "Network"), make("div", { class: "split" }, this.picture.element, this.details.element)),
        layers);
      charts.forEach((chart) => chart.start());
      this.picture.fit();
      root.view = this;
    }

    show(at) {
      this.details.select(at);
      this.picture.show(at);
      this.picture.element.scrollIntoView({ block: "nearest" });
    }
  }

  function build(root) {
    if (root.view) return;
    const index = root.dataset.model;
    const data = JSON.parse(document.getElementById(`network-${index}`).textContent);
    new ModelView(root, data, `model-${index}`);
    linkFindings(root, data);
  }

  /** Let each finding lead to its first layer in the picture. */
  function linkFindings(root, data) {
    data.findings.forEach((finding, number) => {
      const at = data.layers.findIndex((layer) => (layer.findings ?? []).includes(number));
      const links = document.getElementById(finding.id)?.querySelector(".links");
      if (at < 0 || !links) return;
      links.prepend(make("span", { class: "jump" }, make("button", { type: "button", class: "link", onclick: () => root.view.show(at) }, "Show in the network"), " · "));
    });
  }

  /** Open what a link leads to. */
  function openTarget() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let element = target; element; element = element.parentElement) if (element.tagName === "DETAILS") element.open = true;
    target.scrollIntoView();
  }

  function start() {
    document.body.classList.add("scripted");
    document.querySelectorAll("table.sortable").forEach((table) => sortable(table, table.dataset.noun ?? "model"));
    const roots = document.querySelectorAll(".network");
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); build(entry.target); }
    }, { rootMargin: "600px" });
    roots.forEach((root) => seen.observe(root));
    addEventListener("hashchange", openTarget);
    openTarget();
    let closed = [];
    addEventListener("beforeprint", () => {
      printing = true;
      closed = [...document.querySelectorAll("details.finding:not([open])")];
      closed.forEach((each) => { each.open = true; });
      const open = document.querySelectorAll("details.model[open] .network");
      open.forEach(build);
      open.forEach((root) => root.view.picture.paginate());
      plots.forEach((plot) => plot.setSize(PAPER.chart));
    });
    addEventListener("afterprint", () => {
      printing = false;
      closed.forEach((each) => { each.open = false; });
      roots.forEach((root) => root.view?.picture.unpaginate());
      plots.forEach((plot) => plot.setSize({ width: plot.root.parentElement.clientWidth || 300, height: 150 }));
    });
  }

  start();
})();
