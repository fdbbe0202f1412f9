"use strict";
(() => {
  const root = document.documentElement;
  const all = (selector, from = document) => Array.from(from.querySelectorAll(selector));

  // Tables: a heading becomes a button; empty cells stay last in both directions.
  const compare = (kind) => (a, b) =>
    kind === "number" ? Number(a) - Number(b) : a.localeCompare(b, undefined, { numeric: true });
  const key = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.key === undefined ? cell.textContent.trim() : cell.dataset.key;
  };
  function sort(table, heading, column) {
    const falling = heading.getAttribute("aria-sort") === "descending" ||
      (!heading.hasAttribute("aria-sort") && heading.dataset.sort === "text");
    all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", falling ? "ascending" : "descending");
    const body = table.tBodies[0];
    const order = compare(heading.dataset.sort);
    const rows = Array.from(body.rows).sort((a, b) => {
      const [left, right] = [key(a, column), key(b, column)];
      if (left === "" || right === "") return (left === "") - (right === "");
      return falling ? order(left, right) : order(right, left);
    });
    body.append(...rows);
  }
  all("table.sortable").forEach((table) => {
    Array.from(table.tHead.rows[0].cells).forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      button.addEventListener("click", () => sort(table, heading, column));
      heading.append(button);
    });
  });

  // The same case lights up in every figure and table; a click on a dot leads to it.
  let lit = null;
  document.addEventListener("pointerover", (event) => {
    const pointed = event.target.closest(".strip [data-case], .heat tr[data-case]");
    const index = pointed && pointed.dataset.case;
    if (index === lit) return;
    all(".lit").forEach((element) => element.classList.remove("lit"));
    all(`[data-case="${index}"]`).forEach((element) => element.classList.add("lit"));
    lit = index;
  });

  // An algorithm lights up in the figure and the table of its condition.
  document.addEventListener("pointerover", (event) => {
    const pointed = event.target.closest("[data-line]");
    const panel = event.target.closest(".panel");
    all(".panel [data-line]").forEach((element) => element.classList.toggle("lit",
      pointed !== null && element.dataset.line === pointed.dataset.line && panel.contains(element)));
  });
  document.addEventListener("click", (event) => {
    const dot = event.target.closest(".strip [data-case]");
    if (!dot) return;
    const index = dot.dataset.case;
    const target = document.getElementById(`case-${index}`) ||
      all(`.heat tr[data-case="${index}"]`).find((row) => row.offsetParent !== null);
    if (target) {
      target.scrollIntoView({ block: "center" });
      target.classList.add("found");
      setTimeout(() => target.classList.remove("found"), 1600);
    }
  });

  // Tables that go on to the right say so by a fading edge.
  const edges = () => all(".scroll").forEach((box) => box.classList.toggle("more-right",
    box.scrollWidth - box.clientWidth - box.scrollLeft > 2));
  document.addEventListener("scroll", edges, { capture: true, passive: true });
  document.addEventListener("toggle", edges, true);
  document.addEventListener("change", edges);
  addEventListener("resize", edges);
  edges();

  // On paper, details are open but for the long ones; those on the screen stay as they were.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])").filter((element) => !element.closest(".long-print"));
    closed.forEach((element) => { element.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((element) => { element.open = false; }));
  root.dataset.ready = "yes";
})();
