"use strict";
// Charts in plain SVG, drawn at the width they have, so that text keeps its size on a phone.

const facts = JSON.parse(document.getElementById("facts").textContent);
const SVG = "http://www.w3.org/2000/svg";

function element(parent, name, attributes = {}, text = "") {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  parent.append(made);
  return made;
}

// An axis: from values to pixels, and where its ticks are.
function linear(low, high, from, to) {
  const span = high - low || 1;
  return { at: value => from + (value - low) / span * (to - from), ticks: count => niceTicks(low, high, count) };
}

function logarithmic(low, high, from, to) {
  const [first, last] = [Math.log10(low), Math.log10(high)];
  const at = value => from + (Math.log10(value) - first) / (last - first || 1) * (to - from);
  const ticks = count => {
    const decades = last - first, every = decades > count / 2 ? [1] : decades > 1 ? [1, 3] : [1, 2, 5];
    const step = Math.max(1, Math.ceil(decades / count));
    const found = [];
    for (let power = Math.floor(first / step) * step; power <= last; power += step)
      for (const digit of every) found.push(Number(`${digit}e${power}`));
    return found.filter(value => value >= low * 0.999 && value <= high * 1.001);
  };
  return { at, ticks };
}

function niceTicks(low, high, count) {
  const raw = (high - low) / Math.max(1, count), power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(digit => digit * power).find(size => size >= raw);
  const found = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-6; tick += step)
    found.push(Number(tick.toPrecision(12)));
  return found;
}

const short = value => value >= 1000 ? value.toLocaleString("en")
  : value >= 1e-4 || !value ? String(Number(value.toPrecision(3))) : `10${superscript(Math.round(Math.log10(value)))}`;
const superscript = power => String(power).replace(/./g, digit => "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"["-0123456789".indexOf(digit)]);

function frame(plot, height, label) {
  const width = Math.max(240, plot.clientWidth);
  const svg = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ width, height, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": label })) svg.setAttribute(key, value);
  plot.replaceChildren(svg);
  return { svg, width, height, left: 30, right: width - 12, top: 22, bottom: height - 38 };
}

function axes(area, x, y, xTicks, xTitle, yTitle = "top-1, %") {
  const { svg, left, right, bottom } = area;
  element(svg, "text", { x: 0, y: 9 }, yTitle);
  element(svg, "text", { x: right, y: area.height - 4, "text-anchor": "end" }, xTitle);
  const yTicks = y.ticks(5);
  for (const tick of yTicks) {
    element(svg, "line", { class: "grid", x1: left, x2: right, y1: y.at(tick), y2: y.at(tick) });
    element(svg, "text", { x: left - 6, y: y.at(tick) + 4, "text-anchor": "end" }, String(tick));
  }
  element(svg, "line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom });
  for (const tick of xTicks) {
    element(svg, "line", { class: "axis", x1: x.at(tick), x2: x.at(tick), y1: bottom, y2: bottom + 4 });
    element(svg, "text", { x: x.at(tick), y: bottom + 17, "text-anchor": "middle" },
      xTitle === "year" ? String(tick) : short(tick));
  }
}

// ------------------------------------------------------------------ published and reached

// One mark a published figure: what was reached like the paper goes before what was reached otherwise.
const published = [...grouped(facts.points.filter(p => p.published), p => p.published).values()]
  .map(rows => rows.find(p => p.gap !== null) ?? rows[0]);
const drawable = published.filter(p => p.metric === "top1" && p.dataset === "imagenet");
const measuredAlike = p => p.reached !== null && p.gap !== null;

function mark(parent, point, x, y) {
  const kind = ["reproduced", "above", "short"].includes(point.status) ? point.status : "unproven";
  const attributes = { class: `mark ${kind}` };
  if (kind === "reproduced") return element(parent, "circle", { ...attributes, cx: x, cy: y, r: 4.5 });
  const path = { above: `M${x} ${y - 5.5}l5 9h-10z`, short: `M${x} ${y + 5.5}l5-9h-10z`,
    unproven: `M${x} ${y - 5}l5 5-5 5-5-5z` }[kind];
  return element(parent, "path", { ...attributes, d: path });
}

// options: x(point), log, height, label, title (of the x axis), best (draw the best so far), spread (points of a year side by side),
// only (which points), y(point) where it is not the published figure.
function scatter(plot, options) {
  const points = drawable.filter(p => options.x(p) > 0 && (!options.only || options.only(p)));
  if (!points.length) {
    plot.replaceChildren();
    plot.insertAdjacentHTML("beforeend", `<p class="nothing">${options.nothing}</p>`);
    plot.removeAttribute("tabindex");
    return;
  }
  const area = frame(plot, options.height, options.label);
  const { svg, left, right, top, bottom } = area;
  const heights = points.flatMap(p => measuredAlike(p) ? [p.target, p.reached] : [p.target]);
  const low = Math.floor(Math.min(...heights) / 5) * 5, high = Math.ceil(Math.max(...heights) / 5) * 5;
  const y = linear(low, Math.max(high, low + 5), bottom, top);
  const xs = points.map(options.x), edge = options.log ? 1.25 : 0.6;
  const [least, most] = [Math.min(...xs), Math.max(...xs)];
  const x = options.log ? logarithmic(least / edge, most * edge, left + 4, right - 4)
    : linear(least - edge, most + edge, left, right);
  const yearTicks = () => niceTicks(least, most, Math.min(12, area.width / 60)).filter(Number.isInteger);
  axes(area, x, y, options.log ? x.ticks(4) : yearTicks(), options.title);
  const aside = options.spread ? sideBySide(points, options.x) : () => 0;
  const places = points.map(p => ({ point: p, x: x.at(options.x(p) + aside(p)), y: y.at(p.target),
    reached: measuredAlike(p) ? y.at(p.reached) : null }));
  places.sort((a, b) => (a.reached !== null) - (b.reached !== null)); // what was reached is drawn on top
  if (options.best) bestSoFar(svg, places, right);
  const groups = new Map();
  for (const place of places) {
    const { point } = place;
    const group = element(svg, "g", { "data-id": point.id });
    if (place.reached !== null && Math.abs(place.reached - place.y) > 6)
      element(group, "line", { class: "join", x1: place.x, x2: place.x, y1: place.y, y2: place.reached });
    element(group, "circle", { class: "paper", cx: place.x, cy: place.y, r: 3.6 });
    if (place.reached !== null) mark(group, point, place.x, place.reached);
    groups.set(point.id, group);
  }
  names(svg, places, Math.round(area.width / (options.best ? 80 : 60)), area);
  const here = element(svg, "circle", { class: "here", r: 8, visibility: "hidden" });
  follow(plot, svg, places, here);
  dim(groups);
}

// Points of one year stand side by side, in the order of their figures.
function sideBySide(points, xOf) {
  const years = grouped(points, xOf);
  const places = new Map();
  for (const those of years.values()) {
    const ordered = [...those].sort((a, b) => a.target - b.target || a.recipe.localeCompare(b.recipe));
    const room = Math.min(0.7, 0.09 * ordered.length);
    ordered.forEach((p, i) => places.set(p, ordered.length > 1 ? (i / (ordered.length - 1) - 0.5) * room : 0));
  }
  return point => places.get(point);
}

function grouped(items, key) {
  const found = new Map();
  for (const item of items) found.set(key(item), [...(found.get(key(item)) ?? []), item]);
  return found;
}

function bestSoFar(svg, places, right) {
  let best = -Infinity, path = "", last = 0;
  for (const place of [...places].sort((a, b) => a.x - b.x)) {
    if (place.point.target <= best) continue;
    path += path ? `H${place.x.toFixed(1)}V${place.y.toFixed(1)}` : `M${place.x.toFixed(1)} ${place.y.toFixed(1)}`;
    [best, last] = [place.point.target, place.x];
    place.isBest = true;
  }
  if (last) element(svg, "path", { class: "best", d: `${path}H${right}` });
}

// Names where there is room: what was the best of its time first, then by figure.
function names(svg, places, most, area) {
  const taken = places.map(p => [p.x - 5, p.y - 5, p.x + 5, p.y + 5]);
  const free = box => box[0] >= area.left && box[2] <= area.right + 8 && box[1] >= 0
    && !taken.some(t => box[0] < t[2] && box[2] > t[0] && box[1] < t[3] && box[3] > t[1]);
  const wanted = [...places].sort((a, b) => (b.isBest ?? 0) - (a.isBest ?? 0)
    || (measuredAlike(b.point) - measuredAlike(a.point)) || b.point.target - a.point.target);
  const named = new Set();
  for (const { point, x, y } of wanted) {
    if (named.size >= most || named.has(point.recipe)) continue;
    const width = point.recipe.length * 6.3 + 4;
    const choices = [["start", x + 8, y + 4], ["end", x - 8, y + 4], ["middle", x, y - 9], ["middle", x, y + 18]];
    for (const [anchor, at, base] of choices) {
      const start = anchor === "start" ? at : anchor === "end" ? at - width : at - width / 2;
      const box = [start, base - 11, start + width, base + 3];
      if (!free(box)) continue;
      element(svg, "text", { class: "name", x: at, y: base, "text-anchor": anchor, "data-id": point.id }, point.recipe);
      taken.push(box);
      named.add(point.recipe);
      break;
    }
  }
}

// ------------------------------------------------------------------ pointing at a figure

const tip = document.getElementById("tip");

function describe(p) {
  const number = (value, sign = "") => `${sign && value >= 0 ? sign : ""}${Number(value.toFixed(2))}`;
  const parts = [`${p.year}, ${number(p.target)}${p.std !== null ? ` ± ${p.std}` : ""} published`, p.protocol, p.source];
  if (p.extra_data !== "none") parts.push(`extra data: ${p.extra_data}`);
  if (measuredAlike(p))
    parts.push(`${number(p.reached)} reached (${number(p.gap, "+")}): ${p.status}`);
  else if (p.reached === null) parts.push("no figure reached yet");
  else parts.push(`a run reached ${number(p.reached)}: ${p.reason}`);
  return [p.recipe, ...parts];
}

function tell(place, box) {
  const [name, ...lines] = describe(place.point);
  const bold = document.createElement("b");
  bold.textContent = name;
  tip.replaceChildren(bold, ...lines.map(line => Object.assign(document.createElement("span"), { textContent: line })));
  tip.hidden = false;
  const [x, y] = [box.left + place.x, box.top + place.y];
  const size = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - size.width - 8))}px`;
  tip.style.top = `${y + 16 + size.height > innerHeight ? y - size.height - 14 : y + 16}px`;
}

// One stop of the Tab key a chart; arrows go from figure to figure, Enter opens the row.
function follow(plot, svg, places, here) {
  const ordered = [...places].sort((a, b) => a.x - b.x || a.y - b.y);
  let current = -1;
  const point = index => {
    current = index;
    const place = ordered[index];
    for (const [key, value] of Object.entries({ cx: place.x, cy: place.y, visibility: "visible" }))
      here.setAttribute(key, value);
    tell(place, svg.getBoundingClientRect());
  };
  const leave = () => { here.setAttribute("visibility", "hidden"); tip.hidden = true; };
  const nearest = event => {
    const box = svg.getBoundingClientRect();
    const far = ordered.map(p => {
      const dx = p.x - (event.clientX - box.left), dy = event.clientY - box.top;
      return Math.min(Math.hypot(dx, p.y - dy), p.reached === null ? Infinity : Math.hypot(dx, p.reached - dy));
    });
    const index = far.indexOf(Math.min(...far));
    return far[index] < 22 ? index : -1;
  };
  svg.onpointermove = svg.onpointerdown = event => {
    const index = nearest(event);
    if (index >= 0) point(index); else leave();
    svg.style.cursor = index >= 0 ? "pointer" : "";
  };
  svg.onpointerleave = leave;
  svg.onclick = event => { const index = nearest(event); if (index >= 0) openRow(ordered[index].point.id); };
  plot.tabIndex = 0;
  plot.setAttribute("role", "group");
  plot.setAttribute("aria-label", `${svg.getAttribute("aria-label")} Arrow keys go from figure to figure, Enter opens one.`);
  plot.onkeydown = event => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) point(Math.max(0, Math.min(ordered.length - 1, current < 0 ? 0 : current + step)));
    else if (event.key === "Enter" && current >= 0) openRow(ordered[current].point.id);
    else if (event.key === "Escape") leave();
    else return;
    event.preventDefault();
  };
  plot.onblur = leave;
}

// ------------------------------------------------------------------ learning curves

function curvePanel(curves, parent, height = 190) {
  const first = curves[0], plot = document.createElement("div");
  plot.className = "plot";
  parent.append(plot);
  const label = `Learning curves of ${first.recipe}: last ${curves.map(c => c.points.at(-1)[1]).join(", ")} percent`
    + (first.target === null ? "." : `, published ${first.target}.`);
  const area = frame(plot, height, label);
  const values = curves.flatMap(c => c.points.map(p => p[1]));
  if (first.target !== null) values.push(first.target);
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const pad = Math.max(0.5, (most - least) * 0.06);
  const y = linear(Math.max(0, least - pad), Math.min(100, most + 2.5 * pad), area.bottom, area.top);
  const last = Math.max(...curves.map(c => Math.max(c.epochs, c.points.at(-1)[0])));
  const x = linear(0, last, area.left, area.right);
  axes(area, x, y, niceTicks(0, last, 4), "epoch");
  if (first.target !== null) {
    element(area.svg, "line", { class: "target", x1: area.left, x2: area.right, y1: y.at(first.target), y2: y.at(first.target) });
    const above = y.at(first.target) > area.top + 16;
    element(area.svg, "text", { x: area.left + 4, y: y.at(first.target) + (above ? -5 : 14), class: "name" },
      `paper ${first.target}`);
  }
  for (const curve of curves) {
    const path = curve.points.map(([epoch, top1], i) => `${i ? "L" : "M"}${x.at(epoch).toFixed(1)} ${y.at(top1).toFixed(1)}`);
    element(area.svg, "path", { class: "curve", d: path.join("") });
    const [epoch, top1] = curve.points.at(-1);
    element(area.svg, "circle", { cx: x.at(epoch), cy: y.at(top1), r: 2.6, fill: "var(--above)" });
  }
}

function curveNote(curves) {
  const first = curves[0], seeds = curves.map(c => c.seed);
  const parts = [seeds.length > 1 ? `seeds ${seeds.join(", ")}` : `seed ${seeds[0]}`, first.data, first.protocol];
  if (first.target !== null && first.target_protocol !== first.protocol) parts.push(`paper: ${first.target_protocol}`);
  if (first.status === "not comparable") parts.push("not comparable");
  return parts.join(", ");
}
