// Brings the page to life: tables that sort and filter, a panel for each layout, charts. Texts are only ever set as text.

const MANY_ROWS = 200; // put into a table at once; more come when it is scrolled to its end
const FEW_VALUES = 12; // of a column, offered as a choice

/** An element with properties, attributes (those with a dash, or `class`) and children; strings become text. */
function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name === "class" || name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

// ---- Conditions, such as >=4, 2..8, ok, !oom ----

const COMPARE = {
  ">=": (a, b) => a >= b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, "<": (a, b) => a < b, "=": (a, b) => a === b, "!": (a, b) => a !== b,
};

/** A test of a cell {text, value}; null where the condition cannot be read. */
function condition(source, numeric) {
  const words = source.trim().replace("≥", ">=").replace("≤", "<=");
  const [, sign, rest] = words.match(/^(>=|<=|!=?|>|<|==?)?\s*(.*)$/s);
  const wanted = rest.toLowerCase();
  const known = sign && sign[0] === "!" ? "!" : sign === "==" ? "=" : sign;
  if (numeric) {
    if (wanted === "-") return (cell) => (cell.value === null) !== (known === "!");
    const range = wanted.match(/^(\S+?)\s*\.\.\s*(\S+)$/);
    if (range && !known) {
      const [low, high] = range.slice(1).map(Number);
      return Number.isNaN(low + high) ? null : (cell) => cell.value !== null && cell.value >= low && cell.value <= high;
    }
    const number = Number(wanted);
    if (wanted && !Number.isNaN(number)) return (cell) => cell.value !== null && COMPARE[known || "="](cell.value, number);
    if (known && known !== "!" && known !== "=") return null;
  }
  if (known === "=") return (cell) => cell.text.toLowerCase() === wanted;
  if (known === "!") return (cell) => !cell.text.toLowerCase().includes(wanted);
  if (known) return null;
  return (cell) => cell.text.toLowerCase().includes(wanted);
}

// ---- Tables ----

class Grid {
  constructor(box) {
    this.box = box;
    this.name = box.dataset.name;
    this.table = box.querySelector("table");
    this.body = this.table.tBodies[0];
    this.headings = [...this.table.tHead.rows[0].cells];
    this.numeric = this.headings.map((heading) => heading.classList.contains("number"));
    this.titles = this.headings.map((heading) => heading.textContent);
    this.rows = [...this.body.rows];
    this.cells = []; // by column, read when first asked for
    this.sorted = { column: -1, falling: false };
    this.conditions = new Map();
    this.search = "";
    this.found = this.rows.map((_, number) => number); // rows that pass all conditions, in their order
    this.headings.forEach((heading, column) => {
      const button = make("button", { type: "button", title: "Sort" }, this.titles[column]);
      button.addEventListener("click", () => this.sortBy(column));
      heading.replaceChildren(button);
    });
    this.shown = make("span", { class: "shown", role: "status" });
    if ("tools" in box.dataset && this.rows.length > 3) box.prepend(this.tools());
    this.none = make("p", { class: "none", hidden: true }, "No row passes these filters.");
    this.scroll = box.querySelector(".scroll");
    this.scroll.append(this.none);
    this.scroll.addEventListener("scroll", () => {
      if (this.scroll.scrollTop + 3 * this.scroll.clientHeight > this.scroll.scrollHeight) this.more();
    });
    this.headings.forEach((heading, column) => heading.hasAttribute("data-hidden") && this.hide(column, true));
    for (const row of this.rows.slice(MANY_ROWS)) row.remove();
    this.count();
  }

  /** The cells of a column: text, and value, null where it is not known. */
  column(number) {
    return (this.cells[number] ??= this.rows.map((row) => {
      const cell = row.cells[number];
      const text = cell.textContent;
      const exact = cell.dataset.value ?? text;
      const value = exact.trim() === "" ? NaN : Number(exact);
      return { text, value: Number.isNaN(value) ? null : value };
    }));
  }

  tools() {
    const search = make("input", { type: "search", placeholder: "Search all columns", "aria-label": "Search all columns" });
    search.addEventListener("input", () => { this.search = search.value.toLowerCase(); this.show(); });
    const filter = make("button", { type: "button", "aria-pressed": "false" }, "Filter columns");
    filter.addEventListener("click", () => filter.setAttribute("aria-pressed", String(this.toggleFilters())));
    const save = make("button", { type: "button" }, "Save as CSV");
    save.addEventListener("click", () => this.save());
    const tools = make("div", { class: "tools" }, search, filter, save);
    if (this.name === "layouts") tools.append(this.chooser());
    tools.append(this.shown);
    return tools;
  }

  chooser() {
    const choices = make("div", { class: "choices" });
    this.titles.forEach((title, column) => {
      const box = make("input", { type: "checkbox", checked: !this.headings[column].hasAttribute("data-hidden") });
      box.addEventListener("change", () => this.hide(column, !box.checked));
      choices.append(make("label", {}, box, title));
    });
    return make("details", {}, make("summary", {}, "Columns"), choices);
  }

  hide(column, hidden) {
    for (const row of [...this.table.tHead.rows, ...this.rows]) row.cells[column].hidden = hidden;
  }

  toggleFilters() {
    if (!this.filters) {
      this.filters = make("tr", { class: "filters" }, ...this.titles.map((title, column) => this.filter(title, column)));
      this.table.tHead.append(this.filters);
    } else {
      this.filters.hidden = !this.filters.hidden;
    }
    if (this.filters.hidden) {
      this.conditions.clear();
      for (const field of this.filters.querySelectorAll("input, select")) { field.value = ""; field.classList.remove("wrong"); }
      this.show();
    }
    return !this.filters.hidden;
  }

  /** A field for the condition of a column: a choice where its words are few. */
  filter(title, column) {
    const texts = [...new Set(this.column(column).map((cell) => cell.text))];
    const label = { "aria-label": `Filter by ${title}` };
    let field;
    if (!this.numeric[column] && texts.length <= FEW_VALUES && texts.length < this.rows.length) {
      field = make("select", label, make("option", { value: "" }, "any"));
      for (const text of texts.sort()) field.append(make("option", { value: `=${text}` }, text || "(nothing)"));
    } else {
      field = make("input", { ...label, type: "text", placeholder: this.numeric[column] ? ">=4" : "text" });
    }
    field.addEventListener("input", () => {
      const test = field.value.trim() ? condition(field.value, this.numeric[column]) : undefined;
      field.classList.toggle("wrong", test === null);
      if (test) this.conditions.set(column, test);
      else this.conditions.delete(column);
      this.show();
    });
    const cell = make("th", { class: this.headings[column].className }, field);
    cell.hidden = this.headings[column].hidden;
    return cell;
  }

  /** Rising, then falling, then as they were; what is not known comes last. */
  sortBy(column) {
    const again = this.sorted.column === column;
    if (again && this.sorted.falling) this.sorted = { column: -1, falling: false };
    else this.sorted = { column, falling: again };
    this.headings.forEach((heading) => heading.removeAttribute("aria-sort"));
    if (this.sorted.column >= 0) this.headings[column].setAttribute("aria-sort", this.sorted.falling ? "descending" : "ascending");
    this.show();
  }

  order() {
    const numbers = this.rows.map((_, number) => number);
    const { column, falling } = this.sorted;
    if (column < 0) return numbers;
    const cells = this.column(column);
    const collator = new Intl.Collator(undefined, { numeric: true });
    const unknown = (cell) => (this.numeric[column] ? cell.value === null : cell.text === "" || cell.text === "-");
    const compare = this.numeric[column] ? (a, b) => a.value - b.value : (a, b) => collator.compare(a.text, b.text);
    return numbers.sort((a, b) => {
      const [one, other] = [cells[a], cells[b]];
      const last = Number(unknown(one)) - Number(unknown(other));
      return last || (unknown(one) ? 0 : (falling ? -1 : 1) * compare(one, other)) || a - b;
    });
  }

  /** Numbers of the rows that pass all conditions, in their order. */
  passing() {
    const tests = [...this.conditions].map(([column, test]) => [this.column(column), test]);
    if (this.search) this.words ??= this.rows.map((row) => [...row.cells].map((cell) => cell.textContent).join("\n").toLowerCase());
    return this.order().filter(
      (number) => tests.every(([cells, test]) => test(cells[number])) && (!this.search || this.words[number].includes(this.search)),
    );
  }

  show() {
    this.found = this.passing();
    this.body.replaceChildren();
    this.scroll.scrollTop = 0;
    this.more();
    this.count();
  }

  /** Put in the next rows, or all that are left. */
  more(many = MANY_ROWS) {
    const there = this.body.rows.length;
    this.body.append(...this.found.slice(there, there + many).map((number) => this.rows[number]));
  }

  count() {
    const [found, all] = [this.found.length, this.rows.length];
    this.shown.textContent = found === all ? `${all} rows` : `${found} of ${all} rows`;
    this.none.hidden = found > 0 || all === 0;
  }

  /** The shown columns of all rows that pass, exact values where they are known, as a file. */
  save() {
    const columns = this.titles.map((_, number) => number).filter((number) => !this.headings[number].hidden);
    const quoted = (text) => `"${(/^[=+@\t]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
    const value = (number, column) => {
      const cell = this.column(column)[number];
      return this.numeric[column] ? String(cell.value ?? "") : quoted(cell.text);
    };
    const lines = this.found.map((number) =>
      [quoted(this.rows[number].dataset.slug ?? ""), ...columns.map((column) => value(number, column))].join(","));
    const head = ["slug", ...columns.map((column) => this.titles[column])].map(quoted).join(",");
    const address = URL.createObjectURL(new Blob([[head, ...lines].join("\n") + "\n"], { type: "text/csv" }));
    make("a", { href: address, download: `${this.name}.csv` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }
}

// ---- The panel of a layout ----

const panel = document.getElementById("-panel");
const packs = [...document.querySelectorAll("script.pack")];
const packOf = new Map();
JSON.parse(document.getElementById("-slugs").textContent).forEach((slugs, number) => slugs.forEach((slug) => packOf.set(slug, number)));
const unpacked = [];
let shown = null; // the slug whose panel is open, and in the address

/** What a pack holds; it is unpacked when first asked for. */
function unpack(number) {
  return (unpacked[number] ??= (async () => {
    const bytes = Uint8Array.from(atob(packs[number].textContent), (one) => one.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  })());
}

function pairs(list) {
  return make("dl", {}, ...list.map(([term, value]) => make("div", {}, make("dt", {}, term), make("dd", { dir: "auto" }, value))));
}

function section([title, kind, data]) {
  const shape = title.startsWith("Log") ? "log" : title.startsWith("Script") ? "" : "wrap";
  const content =
    kind === "facts" ? pairs(data)
    : kind === "list" ? make("ul", {}, ...data.map((line) => make("li", { dir: "auto" }, line)))
    : make("pre", { class: shape, tabIndex: 0 }, data);
  return make("section", {}, make("h3", {}, title), content);
}

/** The row of the table of all layouts, as pairs. */
function rowOf(slug) {
  const grid = grids.get("layouts");
  const row = grid.rows.find((one) => one.dataset.slug === slug);
  return grid.titles.map((title, column) => [title, row.cells[column].textContent]).filter(([, text]) => text && text !== "-").slice(1);
}

async function open(slug) {
  const sections = (await unpack(packOf.get(slug)))[slug] ?? [];
  if (slugOfAddress() !== slug) return; // another was asked for meanwhile
  const close = make("button", { type: "button" }, "Close");
  close.addEventListener("click", () => panel.close());
  const row = rowOf(slug);
  const outcome = row[0][1];
  panel.replaceChildren(
    make("div", { class: "head" }, make("h2", { id: "-panel-title" }, slug), make("span", { class: "outcome" }, outcome), close),
    make("div", { class: "body" }, section(["Its row", "facts", row.slice(1)]), ...sections.map(section)),
  );
  panel.className = outcome.replaceAll(" ", "-");
  shown = slug;
  if (!panel.open) panel.showModal();
  panel.scrollTop = 0;
  for (const text of panel.querySelectorAll("pre.log")) text.scrollTop = text.scrollHeight; // what matters is at its end
  close.focus();
}

function slugOfAddress() {
  try {
    const slug = decodeURIComponent(location.hash.slice(1));
    return packOf.has(slug) ? slug : null;
  } catch {
    return null; // no address of this page
  }
}

/** Go to the address of a layout without moving the page. */
function go(slug) {
  if (!packOf.has(slug)) return;
  history.pushState(null, "", `#${encodeURIComponent(slug)}`);
  open(slug);
}

function follow() {
  const slug = slugOfAddress();
  if (slug !== null) {
    open(slug);
  } else if (panel.open) {
    shown = null;
    panel.close();
  }
}

// Told a moment after the panel has closed: another may be open by now, or asked for.
panel.addEventListener("close", () => {
  if (panel.open) return;
  panel.replaceChildren();
  if (shown !== null && slugOfAddress() === shown) history.pushState(null, "", location.pathname + location.search);
  shown = null;
});
panel.addEventListener("click", (event) => event.target === panel && panel.close());
window.addEventListener("hashchange", follow);
window.addEventListener("popstate", follow);
document.addEventListener("click", (event) => {
  const row = event.target.closest?.("tr[data-slug]");
  const plainClick = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (!row || !plainClick || String(getSelection())) return;
  event.preventDefault();
  go(row.dataset.slug);
});

// ---- Charts ----

const tip = make("div", { class: "tip", role: "tooltip" });
tip.hidden = true;
document.body.append(tip);

/** What Vega says of a mark, as text. */
function tell(_, event, __, value) {
  tip.hidden = value === null || value === undefined || value === "";
  if (tip.hidden) return;
  const entries = typeof value === "object" ? Object.entries(value).map(([name, one]) => `${name}: ${one}`) : [String(value)];
  tip.textContent = entries.join("\n");
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8)}px`;
}

/** Draw a chart in place of its picture; its expressions are interpreted, never run as code. */
async function draw(place, spec) {
  const chart = make("div");
  const options = { ast: true, actions: false, renderer: "svg", defaultStyle: false, tooltip: tell, loader: { http: { credentials: "omit" } } };
  try {
    const { view } = await window.vegaEmbed(chart, { ...spec, usermeta: undefined }, options);
    view.addEventListener("click", (_, item) => item?.datum?.slug && go(String(item.datum.slug)));
    place.replaceChildren(chart);
  } catch (error) {
    console.error(error); // the picture stays
  }
}

// ---- All of it ----

const grids = new Map([...document.querySelectorAll(".table")].map((box) => [box.dataset.name, new Grid(box)]));
window.addEventListener("beforeprint", () => grids.forEach((grid) => grid.more(Infinity)));
const specs = JSON.parse(document.getElementById("-specs").textContent);
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries.filter((one) => one.isIntersecting)) {
    watcher.unobserve(entry.target);
    draw(entry.target, specs[entry.target.dataset.figure]);
  }
}, { rootMargin: "600px" });
if (window.vegaEmbed) for (const place of document.querySelectorAll(".chart")) watcher.observe(place);
follow();
