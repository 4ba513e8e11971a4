"use strict";
// The look of a graph that Cytoscape.js draws, for all pages that draw one.

// Canvas does not know the colours of the page, so they are read from it, again when the theme changes.
// most: the largest count of a node, which is drawn largest.
const graphStyle = (most) => {
  const colors = getComputedStyle(document.documentElement);
  const color = (name) => colors.getPropertyValue(name).trim();
  const font = getComputedStyle(document.body).fontFamily;
  const size = (node) => 14 + 18 * Math.sqrt(node.data("count") / most);
  return [
    { selector: "node", style: {
      "label": "data(name)", "background-color": (node) => color(`--c${node.data("color")}`),
      "width": size, "height": size,
      "color": color("--ink"), "font-family": font, "font-size": 13, "text-valign": "bottom", "text-margin-y": 3,
      "text-outline-color": color("--paper"), "text-outline-width": 2, "text-wrap": "ellipsis", "text-max-width": 120,
      "min-zoomed-font-size": 6,
    } },
    { selector: "edge", style: {
      "label": "data(label)", "curve-style": "bezier", "target-arrow-shape": "triangle", "arrow-scale": 0.8,
      "width": (edge) => 1 + Math.log2(edge.data("count")) / 2, "line-color": color("--alone"),
      "target-arrow-color": color("--alone"), "font-family": font, "font-size": 10, "color": color("--soft"),
      "text-rotation": "autorotate", "text-outline-color": color("--paper"), "text-outline-width": 2,
      "min-zoomed-font-size": 7, "loop-direction": "0deg",
    } },
    { selector: ".faded", style: { "opacity": 0.15 } },
    { selector: ".chosen", style: { "border-width": 3, "border-color": color("--accent") } },
    { selector: "edge.chosen", style: { "line-color": color("--accent"), "target-arrow-color": color("--accent") } },
  ];
};

// Without chance, so that the same graph is drawn the same way each time.
const GRAPH_LAYOUT = {
  name: "cose", animate: false, randomize: false, fit: true, padding: 30, nodeDimensionsIncludeLabels: true,
  idealEdgeLength: () => 60, nodeRepulsion: () => 9000, componentSpacing: 40, numIter: 1500,
};
