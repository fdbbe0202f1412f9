"use strict";
// The table of all algorithms: rows that hold the reader's words, some at a time.
(() => {
  const root = document.getElementById("everyone");
  if (!root) return;
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const { rows: packed, step } = JSON.parse(part("rows").textContent);
  let [rows, chosen, shown] = [[], [], 0];
  const line = ([name, ...cells]) => {
    const row = document.createElement("tr");
    row.append(Object.assign(document.createElement("th"), { scope: "row", textContent: name }),
      ...cells.map((text) => Object.assign(document.createElement("td"), { textContent: text })));
    return row;
  };
  function more(count) {
    part("shown").append(...chosen.slice(shown, shown + count).map(line));
    shown = Math.min(shown + count, chosen.length);
    part("said").textContent = `${shown} of ${chosen.length}`;
    part("more").hidden = shown === chosen.length;
  }
  function search() {
    const words = part("words").value.trim().toLowerCase();
    chosen = words ? rows.filter(([name]) => name.toLowerCase().includes(words)) : rows;
    part("shown").replaceChildren();
    shown = 0;
    more(step);
  }
  slices.inflate(packed).then((bytes) => {
    rows = JSON.parse(new TextDecoder().decode(bytes));
    part("table").hidden = false;
    part("words").addEventListener("input", search);
    part("more").addEventListener("click", () => more(5 * step));
    search();
    root.dataset.ready = "";
  });
})();
