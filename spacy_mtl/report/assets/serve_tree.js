"use strict";
// Dependency trees: the words of a sentence in a row, and an arc from each head to its dependent.

const SVG = "http://www.w3.org/2000/svg";
const svgNode = (tag, attributes, parent) => {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
};

// Where sentences end: after tokens that no arc spans.
const sentencesOf = (heads) => {
  const found = [];
  let [start, reach] = [0, 0];
  heads.forEach((head, place) => {
    reach = Math.max(reach, head, place);
    const later = heads.slice(place + 1).some((other) => other <= place && other >= start);
    if (place === reach && !later) { found.push([start, place + 1]); [start, reach] = [place + 1, place + 1]; }
  });
  return found;
};

// The level of each arc: one above the highest that it spans.
const levelsOf = (arcs) => {
  const levels = new Map();
  const byLength = [...arcs].sort((a, b) => Math.abs(a.head - a.tail) - Math.abs(b.head - b.tail));
  for (const arc of byLength) {
    const [low, high] = [Math.min(arc.head, arc.tail), Math.max(arc.head, arc.tail)];
    const inside = [...levels].filter(([other]) => Math.min(other.head, other.tail) < high && Math.max(other.head, other.tail) > low);
    levels.set(arc, 1 + Math.max(0, ...inside.map(([, level]) => level)));
  }
  return levels;
};

const widthOf = (text, size) => {
  widthOf.context ??= document.createElement("canvas").getContext("2d");
  widthOf.context.font = `${size}px ${getComputedStyle(document.body).fontFamily}`;
  return widthOf.context.measureText(text).width;
};

// choose: is called with the index of a dependent and the node of its arc, if arcs can be explained.
const drawTree = (tokens, heads, labels, [start, end], choose) => {
  const box = document.createElement("div");
  box.className = "sentence";
  box.tabIndex = 0;
  box.setAttribute("role", "group");
  const words = tokens.slice(start, end).map((token) => token.text);
  box.setAttribute("aria-label", `Tree of: ${words.join(" ")}`);
  const arcs = [];
  for (let place = start; place < end; place += 1) {
    if (heads[place] !== place) arcs.push({ head: heads[place] - start, tail: place - start, label: labels[place] });
  }
  const levels = levelsOf(arcs);
  const gaps = words.map((word) => Math.max(widthOf(word, 14) + 22, 44));
  for (const arc of arcs.filter((one) => Math.abs(one.head - one.tail) === 1)) {
    const left = Math.min(arc.head, arc.tail);
    const wanted = widthOf(arc.label, 11) + 26 - (gaps[left] + gaps[left + 1]) / 2;
    if (wanted > 0) { gaps[left] += wanted; gaps[left + 1] += wanted; }
  }
  const centers = [];
  gaps.reduce((x, gap) => { centers.push(x + gap / 2); return x + gap; }, 0);
  const width = gaps.reduce((a, b) => a + b, 0);
  const base = 24 + 26 * Math.max(0, ...levels.values());
  const svg = svgNode("svg", { width, height: base + 42, viewBox: `0 0 ${width} ${base + 42}` }, box);
  words.forEach((word, place) => {
    svgNode("text", { x: centers[place], y: base + 20 }, svg).textContent = word;
    if (heads[start + place] === start + place && labels[start + place]) {
      const root = svgNode("g", { class: "arc" }, svg);
      svgNode("text", { x: centers[place], y: base + 37 }, root).textContent = labels[start + place];
      makeArcButton(root, `${word}: ${labels[start + place]}`, start + place, choose);
    }
  });
  for (const [arc, level] of [...levels].sort(([, a], [, b]) => b - a)) {
    const side = Math.sign(arc.tail - arc.head);
    const [from, to] = [centers[arc.head] + 6 * side, centers[arc.tail] - 3 * side];
    const top = base - 4 - 26 * level;
    const group = svgNode("g", { class: "arc" }, svg);
    const bend = 10 * side;
    svgNode("path", { d: `M${from},${base} V${top + 10} Q${from},${top} ${from + bend},${top} H${to - bend} Q${to},${top} ${to},${top + 10} V${base - 4}` }, group);
    svgNode("path", { class: "tip", d: `M${to - 4},${base - 6} h8 l-4,8 z` }, group);
    svgNode("text", { x: (from + to) / 2, y: top + 4 }, group).textContent = arc.label;
    makeArcButton(group, `${words[arc.head]} to ${words[arc.tail]}: ${arc.label}`, start + arc.tail, choose);
  }
  return box;
};

const makeArcButton = (group, name, place, choose) => {
  group.setAttribute("aria-label", name);
  if (!choose) return;
  group.setAttribute("tabindex", "0");
  group.setAttribute("role", "button");
  group.addEventListener("click", () => choose(place, group));
  group.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    choose(place, group);
  });
};
