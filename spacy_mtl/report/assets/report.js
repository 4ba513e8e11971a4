"use strict";
// Filter fields, "show all" buttons, and printing everything. Sorting is that of sortable.min.js, which listens to clicks.
(() => {
  const table = (control) => document.querySelector(`#${CSS.escape(control.dataset.table)} table`);

  const filter = (field) => {
    const wanted = field.value.trim().toLowerCase();
    const rows = [...table(field).tBodies[0].rows];
    let shown = 0;
    for (const row of rows) {
      const fits = row.textContent.toLowerCase().includes(wanted);
      row.hidden = !fits;
      shown += fits;
    }
    // what is looked for may be in a row that is not shown yet
    table(field).classList.toggle("filtered", wanted !== "");
    field.parentNode.querySelector("output").textContent = wanted ? `${shown} of ${rows.length} rows` : "";
  };

  const toggle = (button) => {
    const isShort = table(button).classList.toggle("short");
    button.setAttribute("aria-expanded", String(!isShort));
    button.dataset.all ??= button.textContent;
    button.textContent = isShort ? button.dataset.all : "Show fewer rows";
  };

  // The rows that a short table hides are the last ones, in the order of the moment.
  const keepFirst = (event) => {
    const rows = event.target.tBodies[0].rows;
    const limit = Number(event.target.dataset.limit ??= rows.length - event.target.querySelectorAll("tr.more").length);
    [...rows].forEach((row, place) => row.classList.toggle("more", place >= limit));
  };

  document.addEventListener("input", (event) => event.target.matches("input[data-table]") && filter(event.target));
  document.addEventListener("click", (event) => event.target.matches("button.all") && toggle(event.target));
  document.addEventListener("sort-end", keepFirst);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => { part.open = true; }));
})();
