"use strict";
// The drawing of the graph, by Cytoscape.js, and what is shown of the entity or relation that was chosen.
(() => {
  const data = JSON.parse(document.getElementById("graph-data").textContent);
  const canvas = document.getElementById("graph-canvas");
  const panel = document.getElementById("graph-panel");
  const search = document.getElementById("graph-search");
  const label = document.getElementById("graph-label");
  const touch = matchMedia("(pointer: coarse)").matches;
  const style = () => graphStyle(Math.max(...data.nodes.map((node) => node.count), 1));

  // Without chance: the same graph is drawn the same way each time. What the layout starts from is a spiral, as wide in
  // proportion as the canvas.
  const ratio = Math.max(1, canvas.clientWidth / canvas.clientHeight);
  const start = (index) => {
    const [radius, angle] = [30 * Math.sqrt(index), 2.4 * index];
    return { x: 2 * ratio * radius * Math.cos(angle), y: radius * Math.sin(angle) };
  };
  const cy = cytoscape({
    container: canvas,
    elements: [
      ...data.nodes.map((node, index) => ({ group: "nodes", data: node, position: start(index) })),
      ...data.edges.map((edge) => ({ group: "edges", data: edge })),
    ],
    style: style(), minZoom: 0.1, maxZoom: 4, userZoomingEnabled: touch, layout: GRAPH_LAYOUT,
  });
  canvas.cy = cy;

  const make = (tag, text, parent, kind) => {
    const node = document.createElement(tag);
    node.textContent = text;
    if (kind) node.className = kind;
    parent.append(node);
    return node;
  };
  const link = (node, parent) => make("button", node.data("name"), parent).addEventListener("click", () => choose(node));
  const title = (text, note) => {
    panel.replaceChildren();
    make("small", ` ${note}`, make("h3", text, panel));
  };
  const times = (edge) => `found ${edge.data("count")} ×, confidence ${edge.data("confidence").toFixed(2)}`;

  const list = (edges, node) => {
    const items = make("ul", "", panel);
    for (const edge of edges) {
      const item = make("li", "", items);
      const [head, tail] = [edge.source(), edge.target()];
      if (head.same(node)) item.append(head.data("name")); else link(head, item);
      item.append(" ");
      make("b", edge.data("label"), item);
      item.append(" ");
      if (tail.same(node)) item.append(tail.data("name")); else link(tail, item);
      make("small", ` ${times(edge)}`, item);
      for (const sentence of edge.data("sentences")) {
        const quote = make("blockquote", sentence.text, item);
        make("small", sentence.source, quote);
      }
    }
  };

  const clear = () => {
    cy.elements().removeClass("faded chosen");
    panel.replaceChildren();
    make("p", "Nothing is chosen.", panel, "note");
  };
  const choose = (one) => {
    clear();
    const around = one.isNode() ? one.closedNeighborhood() : one.union(one.connectedNodes());
    cy.elements().not(around).addClass("faded");
    one.addClass("chosen");
    if (one.isNode()) {
      const edges = one.connectedEdges().toArray();
      title(one.data("name"), [one.data("type"), one.data("kb_id")].filter(Boolean).join(", "));
      make("p", `${one.data("count")} mentions, ${edges.length} relations in the drawing`, panel, "note");
      list(edges, one);
    } else {
      title(one.data("label"), "");
      list([one], cy.collection());
    }
  };
  // Relations with other labels, and the entities that have no others, are hidden.
  const filter = () => {
    clear();
    cy.batch(() => {
      cy.elements().style("display", "element");
      if (!label.value) return;
      const kept = cy.edges().filter((edge) => edge.data("label") === label.value);
      cy.elements().not(kept.union(kept.connectedNodes())).style("display", "none");
    });
    fit();
  };
  const find = () => {
    const wanted = search.value.trim().toLowerCase();
    const names = cy.nodes(":visible").filter((node) => node.data("name").toLowerCase().includes(wanted));
    const exact = names.filter((node) => node.data("name").toLowerCase() === wanted);
    if (!wanted) return clear();
    if (names.empty()) {
      clear();
      panel.firstChild.textContent = `No entity in the drawing is called “${search.value.trim()}”.`;
      return;
    }
    const found = (exact.empty() ? names : exact)[0];
    choose(found);
    isMoved = true;
    cy.animate({ center: { eles: found }, duration: matchMedia("(prefers-reduced-motion: reduce)").matches ? 0 : 200 });
  };

  // The whole graph stays in view when the canvas changes its size, unless a user has chosen another part.
  let isMoved = false;
  const fit = () => { cy.fit(cy.elements(":visible"), 30); isMoved = false; };
  cy.on("dragpan scrollzoom pinchzoom", () => { isMoved = true; });
  new ResizeObserver(() => { cy.resize(); if (!isMoved) fit(); }).observe(canvas);

  cy.on("tap", "node, edge", (event) => choose(event.target));
  cy.on("tap", (event) => event.target === cy && clear());
  // The wheel scrolls the page until the drawing was clicked.
  canvas.addEventListener("pointerdown", () => cy.userZoomingEnabled(true));
  canvas.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && cy.userZoomingEnabled(false));
  search.addEventListener("change", find);
  label.addEventListener("change", filter);
  document.getElementById("graph-tools").addEventListener("submit", (event) => { event.preventDefault(); find(); });
  document.getElementById("graph-fit").addEventListener("click", () => { clear(); fit(); });
  document.querySelectorAll("[data-zoom]").forEach((button) => button.addEventListener("click", () => {
    isMoved = true;
    cy.zoom({ level: cy.zoom() * Number(button.dataset.zoom), renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } });
  }));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => cy.style(style()));
})();
