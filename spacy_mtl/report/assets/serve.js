"use strict";
// The page: asks the API, lays out what each pipeline found, and asks for explanations.
(() => {
  const find = (id) => document.getElementById(id);
  const [form, text, button, results, status, error] = ["ask", "text", "read", "results", "status", "error"].map(find);
  const MINUS = "\u2212";
  const signed = (number) => `${number < 0 ? MINUS : "+"}${Math.abs(number).toFixed(2)}`;
  let about = null;
  let token = sessionStorage.getItem("spacy-mtl-token");
  let asked = 0;

  class ApiError extends Error {}

  const call = async (path, body) => {
    const headers = { "Content-Type": "application/json" };
    if (token) headers.Authorization = `Bearer ${token}`;
    let answer;
    try {
      answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
    } catch {
      throw new ApiError("The server does not answer. Is it still running?");
    }
    if (answer.status === 401) { await askForToken(); return call(path, body); }
    let found;
    try {
      found = await answer.json();
    } catch {
      throw new ApiError(`The answer is no JSON (status ${answer.status}).`);
    }
    if (!answer.ok) throw new ApiError(found.message ?? `Status ${answer.status}`);
    return found;
  };

  const askForToken = () => new Promise((resolve) => {
    const dialog = find("token-dialog");
    find("token-error").hidden = !token;
    dialog.addEventListener("close", () => {
      token = find("token").value.trim();
      find("token").value = "";
      sessionStorage.setItem("spacy-mtl-token", token);
      resolve();
    }, { once: true });
    if (!dialog.open) dialog.showModal();
  });

  const showError = (problem) => {
    if (!(problem instanceof ApiError)) console.error(problem);
    error.hidden = false;
    error.textContent = problem.message;
    status.textContent = "";
    results.replaceChildren();
  };

  const showAbout = () => {
    const several = about.models.length > 1;
    const facts = {
      [several ? "Pipelines" : "Pipeline"]: about.models.map((model) => model.name).join(", "),
      Heads: [...new Set(about.models.flatMap((model) => Object.keys(model.heads)))].join(", "),
    };
    if (several) {
      find("choice").hidden = false;
      const select = find("models");
      make("option", "", "side by side", select).value = "";
      for (const model of about.models) make("option", "", model.name, select).value = model.name;
    }
    const calibrated = about.models.some((model) => Object.values(model.heads).some((head) => head.coverage !== null));
    if (calibrated) {
      find("sets-choice").hidden = false;
      find("sets").checked = true;
    }
    for (const [name, value] of Object.entries(facts)) {
      const row = make("div", "", undefined, find("facts"));
      make("dt", "", name, row);
      make("dd", "", value, row);
    }
    text.dir = "auto";
  };

  const learn = async () => {
    if (about) return;
    about = await call("api/models");
    showAbout();
  };

  const read = async () => {
    const number = asked += 1;
    button.setAttribute("aria-busy", "true");
    error.hidden = true;
    try {
      await learn();
      const wanted = find("models").value;
      const models = about.models.filter((model) => !wanted || model.name === wanted);
      const began = performance.now();
      const answers = await Promise.all(models.map((model) => call("api/parse", {
        texts: [text.value], model: model.name, confidence: find("confidence").checked, sets: find("sets").checked,
      })));
      if (number !== asked) return;
      const time = Math.round(performance.now() - began);
      show(models, answers.map((answer) => answer.docs[0]));
      const [n, characters] = [answers[0].docs[0].tokens.length, [...text.value].length];
      status.textContent = `Read ${n} ${n === 1 ? "token" : "tokens"} (${characters} characters) in ${time} ms.`;
    } catch (problem) {
      if (number === asked) showError(problem);
    } finally {
      if (number === asked) button.removeAttribute("aria-busy");
    }
  };

  const show = (models, docs) => {
    results.replaceChildren();
    results.classList.toggle("two", docs.length > 1);
    models.forEach((model, place) => {
      const column = make("section", "pipeline", undefined, results);
      make("h2", docs.length > 1 ? "" : "hidden", model.name, column);
      const cards = make("div", "cards", undefined, column);
      showHeads(model, docs[place], docs.length > 1 ? docs[1 - place] : null, cards);
    });
    const raw = make("details", "raw", undefined, results);
    make("summary", "", "The answer as JSON", raw);
    make("pre", "", docs.map((doc) => JSON.stringify(doc, null, 1)).join("\n\n"), raw).tabIndex = 0;
  };

  // What counts when two pipelines are compared: what was found, not how sure they are. Numbers are never the same.
  const SURE = ["scores", "score", "confidence", "set"];
  const decided = (found) => JSON.stringify(found, (key, value) => SURE.includes(key) ? undefined : value);

  const showHeads = (model, doc, other, cards) => {
    const columns = [];
    const cardOfTokens = makeCard("", null);
    for (const [name, found] of Object.entries(doc.heads)) {
      const { labels, explains } = model.heads[name];
      const inTable = found.form === "tokens";
      const card = inTable ? cardOfTokens : makeCard(name, cards);
      const color = (label) => 1 + Math.max(0, labels.indexOf(label)) % N_COLORS;
      const explain = explains ? (target, node) => why(model, doc.text, name, target, node, card) : null;
      const view = { doc, color, explain };
      if (inTable) { columns.push({ name, found, view }); continue; }
      if (other) showDifference(found, other.heads[name], card.head);
      if (found.confidence !== undefined) showConfidence(found.confidence, card.head);
      (FORMS[found.form] ?? drawUnknown)(found, view, card.body);
      if (found.set) drawSet(found.set, view, card.body);
    }
    if (!columns.length) return;
    const { node, head, body } = cardOfTokens;
    node.setAttribute("aria-label", "Labels of tokens");
    cards.append(node);
    make("h3", "", columns.map((column) => column.name).join(", "), head);
    if (other) {
      const differing = columns.filter(({ name, found }) => other.heads[name] && decided(found) !== decided(other.heads[name]));
      makeBadge(differing.length ? `differs: ${differing.map((column) => column.name).join(", ")}` : "same", head);
    }
    drawTokens(columns, doc, body);
  };

  const makeCard = (name, parent) => {
    const node = make("section", "card", undefined, parent ?? undefined);
    const head = make("header", "", undefined, node);
    if (name) { make("h3", "", name, head); node.setAttribute("aria-label", name); }
    return { node, head, body: make("div", "", undefined, node) };
  };

  const makeBadge = (label, head) => make("span", label === "same" ? "badge" : "badge differs", label, head);
  const showDifference = (found, theirs, head) => {
    if (found.form === "numbers" && theirs) return;
    makeBadge(theirs === undefined ? "not in the other pipeline" : decided(found) === decided(theirs) ? "same" : "differs", head);
  };

  const showConfidence = (share, head) => {
    const sure = make("span", "sure", undefined, head);
    sure.title = "Probability of all that the head found here, or of its least certain decision";
    const meter = make("meter", "", undefined, sure);
    meter.value = share;
    meter.setAttribute("aria-label", "How sure the head is");
    make("span", "", `sure: ${percent(share)}`, sure);
  };

  // The explanation of a target stands at the end of the card that it was chosen in.
  const why = async (model, text, head, target, node, card, method) => {
    card.node.querySelectorAll(".is-chosen").forEach((one) => one.classList.remove("is-chosen"));
    node?.classList.add("is-chosen");
    card.node.querySelector(".why")?.remove();
    const panel = make("div", "why", undefined, card.node);
    panel.setAttribute("role", "region");
    panel.setAttribute("aria-live", "polite");
    panel.setAttribute("aria-label", "Explanation");
    make("p", "note", "Computing …", panel);
    try {
      const answer = await call("api/explain", { text, head, target, model: model.name, method: method ?? about.methods[0] });
      panel.replaceChildren();
      const tools = make("div", "tools", undefined, panel);
      const label = make("label", "", "Method ", tools);
      const select = make("select", "", undefined, label);
      for (const one of about.methods) make("option", "", one.replaceAll("_", " "), select).value = one;
      select.value = answer.explanation.method;
      select.addEventListener("change", () => why(model, text, head, target, node, card, select.value));
      showExplanation(answer.explanation, panel, model.heads[head].calibrated);
      if (method) select.focus();
    } catch (problem) {
      panel.replaceChildren();
      make("p", "note", problem.message, panel);
      const again = make("button", "more", "Close", panel);
      again.type = "button";
      again.addEventListener("click", () => { panel.remove(); node?.classList.remove("is-chosen"); node?.focus(); });
    }
  };

  const showExplanation = (found, parent, calibrated) => {
    const figure = make("figure", "explained", undefined, parent);
    const caption = make("figcaption", "", undefined, figure);
    make("strong", "", found.head, caption);
    caption.append(" ");
    make("code", "", found.target, caption);
    // What is explained is the network's own number, to which no temperature was applied: the card's probability is another.
    const value = `${found.unit} ${signed(found.value)}`;
    const parts = [found.unit !== "log-odds" ? value : calibrated ? `${value} before calibration` : `probability ${percent(1 / (1 + Math.exp(-found.value)))} (${value})`];
    if (found.completeness_gap !== null) parts.push(`the words' shares miss ${(100 * found.completeness_gap).toFixed(1)} % of it`);
    parts.push(`${found.n_passes} ${found.n_passes === 1 ? "pass" : "passes"}`, ...found.held_fixed.map((what) => `fixed: ${what}`));
    make("small", "", ` ${parts.join("; ")}`, caption);
    const line = make("p", "", undefined, figure);
    line.dir = "auto";
    const largest = Math.max(...found.scores.map(Math.abs)) || 1;
    found.tokens.forEach((word, place) => {
      const score = found.scores[place];
      const mark = make("mark", `${score > 0 ? "for" : "against"}${found.target_tokens.includes(place) ? " own" : ""}`, word, line);
      mark.style.setProperty("--share", `${Math.round(70 * Math.abs(score) / largest)}%`);
      mark.title = signed(score);
      line.append(" ");
    });
    const strongest = found.tokens.map((word, place) => [word, found.scores[place]]).sort(([, a], [, b]) => Math.abs(b) - Math.abs(a)).slice(0, 5);
    make("p", "note", `Strongest: ${strongest.map(([word, score]) => `${word} ${signed(score)}`).join(", ")}. Green speaks for it, red against it; what it is about is underlined.`, figure);
  };

  form.addEventListener("submit", (event) => { event.preventDefault(); read(); });
  text.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    read();
  });
  find("confidence").addEventListener("change", () => results.firstChild && read());
  find("sets").addEventListener("change", () => results.firstChild && read());
  find("models").addEventListener("change", () => results.firstChild && read());
  // The dialog is closed by its button alone: without a token there is nothing to see.
  find("token-dialog").addEventListener("cancel", (event) => event.preventDefault());
  if (!JSON.parse(document.body.dataset.needsToken) || token) learn().catch(showError); else askForToken().then(learn).catch(showError);
})();
