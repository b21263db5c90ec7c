"use strict";
(() => {
  const all = (selector, root = document) => Array.from(root.querySelectorAll(selector));

  // light or dark, as the system says until the reader says otherwise
  const theme = document.getElementById("theme");
  const wear = (dark) => {
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    theme.setAttribute("aria-pressed", String(dark));
    theme.textContent = dark ? "Light" : "Dark";
  };
  wear(matchMedia("(prefers-color-scheme: dark)").matches);
  theme.addEventListener("click", () => wear(document.documentElement.dataset.theme !== "dark"));

  // links to the sections
  const list = document.querySelector("nav ul");
  for (const part of all("main > section, main > details")) {
    const item = document.createElement("li"), link = document.createElement("a");
    link.href = "#" + part.id;
    link.textContent = part.querySelector("h2").textContent;
    link.addEventListener("click", () => { if (part.tagName === "DETAILS") part.open = true; });
    item.append(link);
    list.append(item);
  }

  // tables that sort by a column
  const value = (row, place) => {
    const text = row.cells[place].textContent.trim(), parsed = Number(text.replace(/ [±≈].*/, "").replace(/[,÷ ]/g, ""));
    if (/^\d+(:\d\d)+$/.test(text)) return text.split(":").reduce((sum, part) => 60 * sum + Number(part), 0);       // h:mm:ss
    return text === "" ? null : Number.isNaN(parsed) ? text : parsed;
  };
  for (const table of all("table.sortable")) {
    all("thead th", table).forEach((head, place) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener("click", () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        all("thead th", table).forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = all("tbody tr", table).sort((a, b) => {
          const x = value(a, place), y = value(b, place);
          if (x === null || y === null) return (x === null) - (y === null);
          const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), "en", { numeric: true });
          return up ? order : -order;
        });
        table.tBodies[0].append(...rows);
      });
    });
  }

  // reconstructions at moments of the training
  for (const box of all(".slides")) {
    const slides = all(".slide", box), range = box.querySelector("input"), told = box.querySelector("output");
    const show = () => {
      slides.forEach((slide, place) => { slide.hidden = place !== Number(range.value); });
      told.textContent = slides[range.value].dataset.told;
      range.setAttribute("aria-valuetext", told.textContent);
    };
    range.value = slides.length - 1;                    // a browser that reloads keeps what it was
    range.addEventListener("input", show);
    show();
  }

  // walks that play, to and fro
  for (const walk of all(".walk")) {
    const frame = walk.querySelector(".frame"), range = walk.querySelector("input"), play = walk.querySelector(".play");
    const step = Number(walk.dataset.width) + 2, count = Number(walk.dataset.count);
    const show = () => { frame.style.backgroundPositionX = -step * Number(range.value) + "px"; };
    let timer = null, way = 1;
    range.addEventListener("input", show);
    play.addEventListener("click", () => {
      if (timer !== null) { clearInterval(timer); timer = null; play.textContent = "Play"; return; }
      play.textContent = "Pause";
      timer = setInterval(() => {
        const now = Number(range.value);
        if (now + way < 0 || now + way >= count) way = -way;
        range.value = now + way;
        show();
      }, 220);
    });
  }

  // the point of a curve that a threshold stands for
  for (const box of all(".threshold")) {
    const held = JSON.parse(box.dataset.curves), select = box.querySelector("select"), range = box.querySelector("input");
    const told = box.querySelector("output"), plot = box.parentElement.querySelector("svg");
    const dot = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    dot.setAttribute("r", "6");
    dot.setAttribute("style", "fill: none; stroke: var(--ink-main); stroke-width: 2.5");
    plot.append(dot);
    const near = (line, index) => {
      const shape = all(".series", plot).find((each) => each.dataset.name === select.value).firstElementChild;
      const points = (shape.getAttribute("points") ?? `${shape.getAttribute("cx")},${shape.getAttribute("cy")}`).split(" ");
      return points[Math.round(index / Math.max(1, line.x.length - 1) * (points.length - 1))].split(",");
    };
    const number = (value) => Math.abs(value) > 1e200 ? "beyond all" : String(Number(value.toPrecision(4)));
    const show = () => {
      const line = held.lines[select.value], index = Number(range.value), [x, y] = near(line, index);
      dot.setAttribute("cx", x);
      dot.setAttribute("cy", y);
      told.textContent = `${held.mark} ${number(line.mark[index])}: ${held.x} ${number(line.x[index])}, ${held.y} ${number(line.y[index])}`;
    };
    const choose = () => {
      range.max = held.lines[select.value].x.length - 1;
      range.value = Math.round(range.max / 10);
      show();
    };
    select.addEventListener("change", choose);
    range.addEventListener("input", show);
    choose();
    const drag = (event) => {
      const box2 = plot.getBoundingClientRect(), across = (event.clientX - box2.left) / box2.width * plot.viewBox.baseVal.width;
      const line = held.lines[select.value];
      let best = 0, least = Infinity;
      for (let index = 0; index < line.x.length; index += 1) {
        const away = Math.abs(Number(near(line, index)[0]) - across);
        if (away < least) { least = away; best = index; }
      }
      range.value = best;
      show();
    };
    plot.style.touchAction = "pan-y";                   // a finger that goes across drags, and does not scroll
    plot.addEventListener("pointerdown", (event) => { plot.setPointerCapture(event.pointerId); drag(event); });
    plot.addEventListener("pointermove", (event) => { if (event.buttons) drag(event); });
  }

  // the sample of a point of a map
  for (const peek of all(".peek")) {
    const frame = peek.querySelector(".frame"), told = peek.querySelector("output"), plot = peek.parentElement.querySelector("svg");
    const columns = Number(peek.dataset.columns), wide = Number(peek.dataset.width) + 2, high = Number(peek.dataset.height) + 2;
    const points = all("circle[data-place]", plot);
    let chosen = null;
    const show = (point) => {
      if (chosen) chosen.classList.remove("chosen");
      chosen = point;
      point.classList.add("chosen");
      const place = Number(point.dataset.place);
      frame.style.backgroundPosition = `${-(place % columns) * wide}px ${-Math.floor(place / columns) * high}px`;
      told.textContent = `sample ${point.dataset.row}` + (point.dataset.label === undefined ? "" : `, label ${point.dataset.label}`);
    };
    plot.addEventListener("pointerover", (event) => { if (event.target.dataset.place !== undefined) show(event.target); });
    plot.setAttribute("tabindex", "0");
    plot.addEventListener("keydown", (event) => {
      const way = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (way === undefined || points.length === 0) return;
      event.preventDefault();
      show(points[(Math.max(0, points.indexOf(chosen)) + way + points.length) % points.length]);
    });
    if (points.length) show(points[0]);
  }
})();
