"use strict";
// Draws the report in #data. Text gets into the page by textContent alone.

const data = JSON.parse(document.getElementById("data").textContent);
const page = document.getElementById("page");
const CHUNK = 100; // rows that are drawn at once; more come when they are scrolled to
const LONG = 26; // characters of a cell that may fold
const FEW = 5; // lines of a list that is open from the start
const CLASS_OF = { "fits": "good", "loses small values": "warn", "loses range": "bad" };

function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// -- numbers

const NUMBER_OF = { "inf": Infinity, "-inf": -Infinity, "nan": NaN };

function number(cell) {
  return typeof cell === "string" && cell in NUMBER_OF ? NUMBER_OF[cell] : Number(cell);
}

function digits(value, count) {
  const size = Math.abs(value);
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const short = Number(value.toPrecision(count));
  if (size >= 1e-4 && size < 1e6) {
    return (size < 10 ** count ? short : Math.round(value)).toLocaleString("en-US", { maximumSignificantDigits: 7 });
  }
  return short.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
}

function shown(column, cell) {
  if (cell === null) return "-";
  if (column.kind === "text" || column.kind === "exact") return String(cell);
  const value = number(cell);
  if (column.kind === "count") return value.toLocaleString("en-US");
  if (column.kind === "decibels") {
    if (!Number.isFinite(value)) return value > 0 ? "exact" : String(cell);
    return value.toFixed(2);
  }
  return Number.isFinite(value) ? digits(value, column.digits ?? 6) : String(cell);
}

function share(rate) {
  return rate ? ` (${digits(100 * rate, 3)}%)` : "";
}

// -- what stands above the table

function list(heading, lines, kind = "") {
  if (!lines.length) return;
  page.append(element("details", lines.length <= FEW ? { open: "" } : {},
    element("summary", { class: kind }, `${heading} (${lines.length.toLocaleString("en-US")})`),
    element("ul", {}, ...lines.map((line) => element("li", {}, line)))));
}

function head() {
  page.append(element("h1", {}, data.title));
  for (const { about, fits, text } of data.answers) {
    const end = text.indexOf(".") + 1;
    const verdict = element("strong", { class: fits ? "good" : "bad" }, text.slice(0, end));
    page.append(element("p", { class: fits ? "answer" : "answer no" },
      about ? element("strong", {}, `${about}: `) : null, verdict, text.slice(end)));
  }
  list("Checks that fail", data.failures, "bad");
  list("Errors", data.errors, "bad");
  list("Not checked", data.unchecked, "warn");
}

function foot() {
  list("Notes", data.notes);
  const facts = Object.entries(data.environment).filter(([, value]) => value !== null);
  if (Object.keys(data.same).length) {
    page.append(element("h2", {}, "The same in all rows"), factsOf(Object.entries(data.same)));
  }
  page.append(element("h2", {}, "How it was made"),
    element("p", {}, element("code", {}, data.command)), factsOf([["fpx", data.fpx], ...facts]));
}

function factsOf(pairs) {
  return element("dl", { class: "facts" }, ...pairs.map(([name, value, says]) =>
    element("div", says ? { title: says } : {},
      element("dt", {}, name), element("dd", {}, String(value)))));
}

// -- the table

const columns = data.columns.map((column, at) => ({ ...column, at }));
const visible = columns.filter((column) => column.shown);
const choices = []; // selects by column
let order = data.rows; // all rows, sorted
let found = order; // those that pass the filters
let drawnRows = 0;
let search, output, body, more;

function table() {
  search = element("input", { type: "search", id: "search", autocomplete: "off", spellcheck: "false" });
  output = element("output", { for: "search" });
  const controls = element("div", { class: "controls", role: "search" },
    element("label", {}, "Filter by name", search));
  for (const column of columns.filter((each) => each.choices)) {
    const select = element("select", { id: `choose-${column.key}` }, element("option", { value: "" }, "all"),
      ...column.choices.map((value) => element("option", { value }, value)));
    select.addEventListener("input", filter);
    choices.push([column, select]);
    controls.append(element("label", {}, column.label, select));
  }
  controls.append(output);
  search.addEventListener("input", filter);
  const cells = visible.map((column) => {
    const button = element("button", { type: "button", ...(column.says ? { title: column.says } : {}) }, column.label);
    const cell = element("th", { scope: "col", class: classOf(column) }, button);
    button.addEventListener("click", () => sort(column, cell));
    return cell;
  });
  body = element("tbody");
  more = element("button", { type: "button", class: "more" }, "Show more");
  more.addEventListener("click", draw);
  page.append(element("h2", {}, data.heading), controls,
    element("div", { class: "table" },
      element("table", {}, element("thead", {}, element("tr", {}, ...cells)), body)), more);
  new IntersectionObserver((seen) => { if (seen.some((each) => each.isIntersecting)) draw(); },
    { rootMargin: "600px" }).observe(more);
  filter();
}

function classOf(column) {
  return column.kind === "text" ? "" : "number";
}

function sort(column, cell) {
  const up = cell.getAttribute("aria-sort") === "descending"
    || (column.kind === "text" && cell.getAttribute("aria-sort") !== "ascending");
  for (const other of cell.parentNode.children) other.removeAttribute("aria-sort");
  cell.setAttribute("aria-sort", up ? "ascending" : "descending");
  const sign = up ? 1 : -1;
  const missing = (value) => value === null || Number.isNaN(value); // goes last either way
  const key = ({ cells }) => {
    const value = cells[column.at];
    return value === null || column.kind === "text" ? value : number(value);
  };
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  order = data.rows.map((row) => [key(row), row]).sort(([a], [b]) => {
    if (missing(a) || missing(b)) return missing(a) - missing(b);
    if (a === b) return 0;
    return sign * (column.kind === "text" ? compare(a, b) : a - b);
  }).map(([, row]) => row);
  filter();
}

function filter() {
  const wanted = search.value.toLowerCase();
  const names = columns.filter((column) => column.kind === "text");
  const chosen = choices.filter(([, select]) => select.value);
  found = order.filter(({ cells }) =>
    chosen.every(([column, select]) => String(cells[column.at]) === select.value)
    && names.some(({ at }) => String(cells[at] ?? "").toLowerCase().includes(wanted)));
  const rows = (count) => `${count.toLocaleString("en-US")} ${count === 1 ? "row" : "rows"}`;
  output.textContent = found.length === data.rows.length ? rows(found.length)
    : `${found.length.toLocaleString("en-US")} of ${rows(data.rows.length)}`;
  drawnRows = 0;
  body.replaceChildren();
  draw();
}

function draw() {
  const next = found.slice(drawnRows, drawnRows + CHUNK);
  drawnRows += next.length;
  body.append(...next.map(tableRow));
  more.hidden = drawnRows >= found.length;
}

function tableRow(row) {
  const line = element("tr");
  for (const column of visible) {
    const cell = row.cells[column.at];
    const text = shown(column, cell) + (column.rate === undefined ? "" : share(row.cells[column.rate]));
    const made = element("td", { class: `${classOf(column)} ${text.length > LONG ? "long" : ""}` });
    if (column.opens && row.detail) {
      const button = element("button", { type: "button", "aria-expanded": "false" }, text);
      button.addEventListener("click", () => toggle(button, line, row));
      made.append(button);
    } else {
      made.append(text);
      if (column.key === "verdict") made.className += ` verdict ${CLASS_OF[cell] ?? ""}`;
      else if (column.bad && number(cell) > (column.above ?? 0)) made.classList.add(column.bad);
    }
    line.append(made);
  }
  return line;
}

// -- what is under a row

function toggle(button, line, row) {
  const open = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!open));
  if (open) {
    line.nextSibling.remove();
    return;
  }
  const { metrics, histogram, formats, places } = row.detail;
  const pairs = [];
  for (let i = 0; i < metrics.length; i += 2) {
    const { name, says } = data.metrics[metrics[i]];
    pairs.push([name, metrics[i + 1], says]);
  }
  line.after(element("tr", { class: "detail" }, element("td", { colspan: visible.length },
    histogram === null ? null : chart(data.histograms[histogram], formats),
    places.length ? factsOf(places) : null, pairs.length ? factsOf(pairs) : null)));
}

// The exponents of finite values, by logarithms of their counts, over the ranges of formats; the
// first format is the one that colours the bars.
function chart(pairs, formats) {
  const counts = [];
  for (let i = 0; i < pairs.length; i += 2) counts.push([pairs[i], pairs[i + 1]]);
  if (!counts.length) return element("p", { class: "soft" }, "No finite values but zeros.");
  const exponents = counts.map(([exponent]) => exponent);
  const ranges = formats.map((name) => [name, ...data.ranges[name]]);
  let low = Math.min(...exponents), high = Math.max(...exponents) + 1;
  const near = ranges.flatMap(([, lowest, emin, emax]) => [lowest, emin, emax + 1])
    .filter((end) => end >= low - 12 && end <= high + 12);
  low = Math.min(low, ...near) - 1;
  high = Math.max(high, ...near) + 1;
  const left = 140, width = 800, top = 20, height = 130, base = top + height;
  const x = (exponent) => left + width * (Math.min(Math.max(exponent, low), high) - low) / (high - low);
  const most = Math.max(...counts.map(([, count]) => count));
  const tall = Math.log2(most + 1);
  const bottom = base + 34 + 20 * ranges.length;
  const svg = drawn("svg", { viewBox: `0 0 ${left + width + 30} ${bottom}`, role: "img",
    "aria-label": `Values by exponent, from 2^${exponents[0]} to 2^${exponents.at(-1)}` });
  svg.append(drawn("text", { x: left, y: 12, class: "soft" }, "values by exponent, logarithmic"),
    drawn("text", { x: left - 6, y: top + 10, "text-anchor": "end", class: "soft" }, most.toLocaleString("en-US")),
    drawn("line", { x1: left, x2: left + width, y1: base + .5, y2: base + .5, class: "axis" }));
  const [[, lowest, emin, emax]] = ranges.length ? ranges : [["", -Infinity, -Infinity, Infinity]];
  for (const [exponent, count] of counts) {
    const kind = exponent > emax ? "over" : exponent < emin ? "under" : "bar";
    const size = Math.max(height * Math.log2(count + 1) / tall, 1);
    const wide = Math.max(x(exponent + 1) - x(exponent) - .5, .5);
    svg.append(drawn("rect", { x: x(exponent), y: base - size, width: wide, height: size, class: kind },
      drawn("title", {}, `2^${exponent}: ${count.toLocaleString("en-US")}`
        + (exponent < lowest ? ", below the smallest value" : ""))));
  }
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000].find((each) => (high - low) / each <= 14) ?? 10000;
  for (let tick = Math.ceil(low / step) * step; tick <= high; tick += step) {
    svg.append(drawn("line", { x1: x(tick), x2: x(tick), y1: base, y2: base + 4, class: "axis" }),
      drawn("text", { x: x(tick), y: base + 17, "text-anchor": "middle", class: "soft" }, `2^${tick}`));
  }
  ranges.forEach(([name, lowest, emin, emax], at) => {
    const y = base + 28 + 20 * at;
    const part = (from, to, kind, says) => x(to) > x(from) && svg.append(
      drawn("rect", { x: x(from), y, width: x(to) - x(from), height: 10, class: kind },
        drawn("title", {}, `${name}: ${says} from 2^${from} to 2^${to}`)));
    svg.append(drawn("text", { x: left - 14, y: y + 9, "text-anchor": "end", class: at ? "" : "own" }, name));
    part(lowest, emin, "subnormal", "subnormal");
    part(emin, emax + 1, "normal", "normal");
    if (lowest < low) svg.append(drawn("text", { x: left - 2, y: y + 9, "text-anchor": "end", class: "soft" }, "◂"));
    if (emax >= high) svg.append(drawn("text", { x: left + width + 2, y: y + 9, class: "soft" }, "▸"));
  });
  return svg;
}

head();
if (data.rows.length) table();
foot();
