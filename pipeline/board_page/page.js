// The table's manners and what holds the page together: filters, sorting, opening, theme, redrawing.

const PANELS_AT_FIRST = 8;
const FEW = 12; // rows of what was not run that are shown without asking
const filters = { search: "", family: "", status: "" };
let costIsHours = false, showsAllPanels = false;
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const byId = id => document.getElementById(id);

// ------------------------------------------------------------------ the table

function toggle(row, open) {
  const details = byId(`${row.id}-details`), button = row.querySelector(".opener");
  const opens = open ?? details.hidden;
  details.hidden = !opens;
  button.setAttribute("aria-expanded", String(opens));
  const curves = facts.curves.filter(curve => curve.id === row.id);
  const place = details.querySelector(".own-curves");
  if (opens && curves.length && !place.childElementCount) curvePanel(curves, place, 220);
}

function openRow(id) {
  const row = byId(id);
  if (row.hidden) clearFilters();
  const fold = row.closest("details.fold");
  if (fold) fold.open = true;
  toggle(row, true);
  row.scrollIntoView({ block: "center" });
  row.querySelector(".opener").focus({ preventScroll: true });
}

function sortBy(header) {
  const table = header.closest("table"), body = table.tBodies[0];
  const column = [...header.parentElement.children].indexOf(header);
  const numeric = header.classList.contains("numeric");
  const direction = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  all("th", table.tHead).forEach(other => other.setAttribute("aria-sort", "none"));
  header.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
  const value = row => row.children[column].dataset.value;
  const compare = (a, b) => {
    if (!value(a) || !value(b)) return Number(!value(a)) - Number(!value(b)); // what is not known comes last
    return direction * (numeric ? value(a) - value(b) : value(a).localeCompare(value(b), "en", { numeric: true }));
  };
  for (const row of all("tr.row", body).sort(compare)) body.append(row, byId(`${row.id}-details`));
}

function matches(data) {
  return (!filters.family || data.family === filters.family) && (!filters.status || data.status === filters.status)
    && filters.search.split(" ").every(word => data.search.includes(word));
}

let matching = new Set();

function applyFilters() {
  matching = new Set();
  for (const row of all("tr.row")) {
    const shows = matches(row.dataset);
    row.hidden = !shows;
    if (!shows) toggle(row, false);
    if (shows) matching.add(row.id);
  }
  for (const section of all("section.board")) {
    const count = all("tr.row:not([hidden])", section).length;
    section.querySelector(".count").textContent = count;
    section.querySelector(".scroll").hidden = !count;
    const fold = section.querySelector("details.fold");
    if (fold) fold.open = Object.values(filters).some(Boolean) || count <= FEW;
  }
  const total = facts.points.length;
  byId("shown").textContent = matching.size === total ? `${total} rows` : `${matching.size} of ${total} rows`;
  all(".plot svg").forEach(svg => dim(new Map(all("[data-id]", svg).map(group => [group, group]))));
  drawPanels();
}

function clearFilters() {
  for (const name of Object.keys(filters)) { filters[name] = ""; byId(name).value = ""; }
  applyFilters();
}

function dim(groups) {
  for (const group of groups.values()) group.classList.toggle("dim", !matching.has(group.dataset.id));
}

// ------------------------------------------------------------------ charts

function drawFigures() {
  scatter(byId("lineage"), { x: p => p.year, height: innerWidth < 760 ? 320 : 420, title: "year", best: true, spread: true,
    label: "Published and reached top-1 by year.", nothing: "No top-1 figure on ImageNet here." });
  scatter(byId("parameters"), { x: p => p.parameters / 1e6, log: true, height: 300, title: "parameters, millions",
    label: "Top-1 by millions of parameters.", nothing: "No top-1 figure on ImageNet here." });
  const hours = { x: p => p.gpu_hours, only: measuredAlike, title: "GPU-hours", label: "Top-1 by GPU-hours of our runs.",
    nothing: "No run was measured like its paper yet; GPU-hours come with the first." };
  const operations = { x: p => p.exaflop, title: "10¹⁸ operations", label: "Top-1 by operations of the recipe’s training.",
    nothing: "No top-1 figure on ImageNet here." };
  scatter(byId("cost"), { log: true, height: 300, ...(costIsHours ? hours : operations) });
  byId("cost-note").textContent = costIsHours ? "Top-1, percent, by GPU-hours measured."
    : "Top-1, percent, by 10¹⁸ operations of the recipe’s own training.";
  byId("cost-kind").textContent = costIsHours ? "Show operations" : "Show GPU-hours";
  const left = published.length - drawable.length;
  byId("not-drawn").textContent = left ? `${left} figure${left > 1 ? "s" : ""} (top-5 only, or not ImageNet) in the table only` : "";
}

function drawPanels() {
  const found = [...grouped(facts.curves.filter(c => matching.has(c.id)), c => `${c.recipe} ${c.data} ${c.status}`).values()];
  const shown = showsAllPanels ? found : found.slice(0, PANELS_AT_FIRST);
  byId("learning").hidden = !facts.curves.length;
  byId("curve-count").textContent = found.length;
  byId("panels").replaceChildren();
  for (const curves of shown) {
    const panel = document.createElement("div"), title = document.createElement("h3"), note = document.createElement("p");
    panel.className = "panel";
    title.textContent = curves[0].recipe;
    note.textContent = curveNote(curves);
    panel.append(title, note);
    byId("panels").append(panel);
    curvePanel(curves, panel);
  }
  byId("more").hidden = found.length <= shown.length;
  byId("more").textContent = `Show all ${found.length}`;
}

// ------------------------------------------------------------------ beginning

const THEMES = ["auto", "light", "dark"];

function setTheme(name) {
  document.documentElement.style.colorScheme = name === "auto" ? "" : name;
  byId("theme").textContent = name;
  byId("theme").setAttribute("aria-label", `Color theme: ${name}. Change it.`);
}

function remembered(value) {
  try { // a page opened from a file may be refused any storage
    if (value !== undefined) localStorage.setItem("top1-theme", value);
    return localStorage.getItem("top1-theme");
  } catch (error) { return null; }
}

byId("theme").onclick = () => {
  const next = THEMES[(THEMES.indexOf(byId("theme").textContent) + 1) % THEMES.length];
  setTheme(next);
  remembered(next);
};
setTheme(THEMES.includes(remembered()) ? remembered() : "auto");

for (const name of Object.keys(filters))
  byId(name).oninput = event => {
    const { value } = event.target;
    filters[name] = name === "search" ? value.trim().toLowerCase() : value;
    applyFilters();
  };
document.querySelector(".filters").onsubmit = event => event.preventDefault();
byId("cost-kind").onclick = () => { costIsHours = !costIsHours; drawFigures(); };
byId("more").onclick = () => { showsAllPanels = true; drawPanels(); };
for (const header of all("thead th")) header.querySelector("button").onclick = () => sortBy(header);
for (const row of all("tr.row")) row.onclick = event => { if (!event.target.closest("a")) toggle(row); };

applyFilters();
drawFigures();
let drawnAt = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === drawnAt) return; // a phone's address bar changes the height alone
  drawnAt = innerWidth;
  drawFigures();
  drawPanels();
});
if (location.hash.startsWith("#target-") && byId(location.hash.slice(1))) openRow(location.hash.slice(1));
