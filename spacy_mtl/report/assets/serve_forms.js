"use strict";
// How each form of prediction is drawn, and by which name the API knows its parts as targets of an explanation. A form
// that is not known here is shown as JSON.

const make = (tag, kind, text, parent) => {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  if (text !== undefined) node.textContent = text;
  parent?.append(node);
  return node;
};
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const N_COLORS = 8;
const N_BARS = 8;
const N_OUTCOMES = 5;

// What can be chosen is a button, which is disabled where the head can't explain itself.
const makeChoice = (tag, kind, target, view, parent) => {
  const button = make(tag, kind, undefined, parent);
  button.type = "button";
  if (view.explain) button.addEventListener("click", () => view.explain(target, button));
  else button.disabled = true;
  return button;
};
const textOf = (view, part) => {
  const { tokens, text } = view.doc;
  const characters = [...text];
  return characters.slice(tokens[part.start].start, tokens[part.end - 1].end).join("");
};

const drawClasses = (found, view, body) => {
  const rows = Object.entries(found.scores).sort(([, a], [, b]) => b - a);
  const list = make("ul", "bars", undefined, body);
  const items = rows.map(([label, score]) => {
    const isPredicted = found.predicted.includes(label);
    const item = make("li", isPredicted ? "is-predicted" : "", undefined, list);
    const bar = makeChoice("button", "", label, view, item);
    make("span", "name", label, bar);
    const fill = make("span", "fill", undefined, make("span", "track", undefined, bar));
    fill.style.width = `${100 * score}%`;
    make("span", "value", percent(score), bar);
    if (isPredicted) make("span", "hidden", "predicted", bar);
    return item;
  });
  const rest = items.slice(Math.max(N_BARS, found.predicted.length));
  if (rest.length < 2) return;
  rest.forEach((item) => { item.hidden = true; });
  const more = make("button", "more", `Show all ${rows.length} classes`, body);
  more.type = "button";
  more.addEventListener("click", () => { rest.forEach((item) => { item.hidden = false; }); rest[0].firstChild.focus(); more.remove(); });
};

// Spans that overlap are drawn on further copies of the text.
const drawSpans = (found, view, body) => {
  if (!found.spans.length) { make("p", "nothing", "Nothing was found.", body); return; }
  const characters = [...view.doc.text];
  const { tokens } = view.doc;
  let waiting = [...found.spans].sort((a, b) => a.start - b.start || b.end - a.end);
  while (waiting.length) {
    const text = make("p", "reading", undefined, body);
    text.dir = "auto";
    const later = [];
    let place = 0;
    let token = 0;
    for (const span of waiting) {
      if (span.start < token) { later.push(span); continue; }
      const [start, end] = [tokens[span.start].start, tokens[span.end - 1].end];
      text.append(characters.slice(place, start).join(""));
      const target = `${span.label}[${span.start}:${span.end}]`;
      const mark = makeChoice("button", `found k${view.color(span.label)}`, target, view, text);
      mark.append(characters.slice(start, end).join(""));
      make("span", "kind", span.score === undefined ? span.label : `${span.label} ${percent(span.score)}`, mark);
      [place, token] = [end, span.end];
    }
    text.append(characters.slice(place).join(""));
    waiting = later;
  }
};

const drawPairs = (found, view, body) => {
  if (!found.pairs.length) { make("p", "nothing", "Nothing was found.", body); return; }
  const canvas = make("div", "canvas", undefined, body);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", "The relations as a graph; the list below says the same");
  drawGraph(canvas, found.pairs, view);
  const list = make("ul", "pairs", undefined, body);
  for (const pair of found.pairs) {
    const { head, tail } = pair;
    const target = `${pair.label}[${head.start}:${head.end}:${tail.start}:${tail.end}]`;
    const line = makeChoice("button", "pair", target, view, make("li", "", undefined, list));
    line.append(textOf(view, head));
    make("b", "", `→ ${pair.label} →`, line);
    line.append(textOf(view, tail));
    if (pair.score !== undefined) make("small", "", ` ${percent(pair.score)}`, line);
  }
};

// Cytoscape.js is loaded when the first graph is drawn.
const drawGraph = async (canvas, pairs, view) => {
  drawGraph.script ??= new Promise((resolve, reject) => {
    const script = make("script", "", undefined, document.head);
    script.addEventListener("load", resolve);
    script.addEventListener("error", reject);
    script.src = "static/cytoscape.min.js";
  });
  await drawGraph.script;
  if (!canvas.isConnected) return;
  const nodes = new Map();
  for (const part of pairs.flatMap((pair) => [pair.head, pair.tail])) {
    nodes.set(`${part.start}:${part.end}`, textOf(view, part));
  }
  const ratio = Math.max(1, canvas.clientWidth / canvas.clientHeight);
  const cy = cytoscape({
    container: canvas, minZoom: 0.2, maxZoom: 3, userZoomingEnabled: false,
    elements: [
      ...[...nodes].map(([id, name], index) => ({
        group: "nodes", data: { id, name, count: 1, color: 1 },
        position: { x: 60 * ratio * Math.cos(2.4 * index) * Math.sqrt(index), y: 30 * Math.sin(2.4 * index) * Math.sqrt(index) },
      })),
      ...pairs.map((pair, index) => ({ group: "edges", data: {
        id: ` ${index}`, source: `${pair.head.start}:${pair.head.end}`, target: `${pair.tail.start}:${pair.tail.end}`,
        label: pair.label, count: 1,
      } })),
    ],
    style: graphStyle(1), layout: GRAPH_LAYOUT,
  });
  const fit = () => {
    cy.resize();
    cy.fit(undefined, 40);
    if (cy.zoom() > 1.5) { cy.zoom(1.5); cy.center(); }
  };
  fit();
  new ResizeObserver(fit).observe(canvas);
  canvas.cy = cy;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => canvas.isConnected && cy.style(graphStyle(1)));
};

const drawTrees = (found, view, body) => {
  const choose = view.explain && ((place, node) => view.explain(`${found.labels[place]}[${place}:${found.heads[place]}]`, node));
  for (const sentence of sentencesOf(found.heads)) {
    body.append(drawTree(view.doc.tokens, found.heads, found.labels, sentence, choose));
  }
  if (!found.heads.length) make("p", "nothing", "The text has no words.", body);
};

const drawNumbers = (found, view, body) => {
  const table = make("table", "numbers", undefined, body);
  make("caption", "hidden", "Numbers", table);
  const rows = make("tbody", "", undefined, table);
  for (const [name, value] of Object.entries(found.values)) {
    const row = make("tr", "", undefined, rows);
    make("th", "", name, row).scope = "row";
    makeChoice("button", "cell", name, view, make("td", "num", undefined, row)).textContent = value.toPrecision(4);
  }
};

// Heads that label tokens are the columns of one table. columns: [{ name, found, view }]
const drawTokens = (columns, doc, body) => {
  if (!doc.tokens.length) { make("p", "nothing", "The text has no words.", body); return; }
  const scroll = make("div", "scroll tall", undefined, body);
  scroll.tabIndex = 0;
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", "Labels of tokens");
  const table = make("table", "", undefined, scroll);
  make("caption", "hidden", "Labels of tokens", table);
  const head = make("tr", "", undefined, make("thead", "", undefined, table));
  make("th", "", "token", head).scope = "col";
  for (const { name, found } of columns) {
    const cell = make("th", "", name, head);
    cell.scope = "col";
    if (found.confidence === undefined) continue;
    make("small", "", ` ${percent(found.confidence)}`, cell).title = "Probability of the label of the least certain token";
  }
  const rows = make("tbody", "", undefined, table);
  doc.tokens.forEach((token, place) => {
    const row = make("tr", "", undefined, rows);
    make("th", "", token.text.replaceAll("\n", "⏎"), row).scope = "row";
    for (const { found, view } of columns) {
      const label = found.labels[place];
      const cell = make("td", "", undefined, row);
      // by its place alone: what a head calls its target may be more than what it writes
      if (label) makeChoice("button", "cell", `[${place}]`, view, cell).textContent = label;
    }
  });
};

// A prediction set: what may be true, the likeliest first. An outcome is a label, or all entities of the text.
const drawSet = (set, view, body) => {
  const { outcomes } = set;
  const box = make("div", `set${set.answered ? "" : " open"}`, undefined, body);
  const said = set.answered
    ? "No other answer is likely enough."
    : !outcomes.length ? "No answer is likely enough: a person should look."
      : set.complete ? `${outcomes.length} ${outcomes.length === 1 ? "answer is" : "answers are"} likely enough: a person should look.`
        : `More than ${outcomes.length} answers are likely enough: a person should look.`;
  const line = make("p", "note", said, box);
  line.title = `Prediction set: for ${percent(set.coverage)} of texts like those of the calibration, the truth is in it`;
  if (set.answered || !outcomes.length) return;
  const list = make("ol", "outcomes", undefined, box);
  outcomes.forEach((outcome, place) => {
    const item = make("li", "", undefined, list);
    item.hidden = place >= N_OUTCOMES;
    const { label, spans } = outcome;
    const text = label ?? (spans.map((span) => `${textOf(view, span)} (${span.label})`).join(", ") || "no entities");
    make("span", "name", text, item);
    make("small", "", percent(outcome.probability), item);
  });
  if (outcomes.length <= N_OUTCOMES) return;
  const more = make("button", "more", `Show all ${outcomes.length}`, box);
  more.type = "button";
  more.addEventListener("click", () => { for (const item of list.children) item.hidden = false; more.remove(); });
};

const drawUnknown = (found, view, body) => make("pre", "", JSON.stringify(found, null, 1), body);
const FORMS = { classes: drawClasses, spans: drawSpans, pairs: drawPairs, tree: drawTrees, numbers: drawNumbers };
