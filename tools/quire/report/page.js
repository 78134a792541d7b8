/* SPDX-License-Identifier: MIT */
/* What a report's page does: time is zoomed, tables are sorted.  All figures over time show the same time. */
"use strict";
(() => {
	const root = document.documentElement;
	const bar = document.querySelector(".bar-zoom");
	const plots = [...document.querySelectorAll("svg.time")];
	const levels = Number(root.dataset.levels);
	const seconds = Number(root.dataset.seconds);
	const unit = root.dataset.unit;
	let level = 0;
	let from = 0; /* share of the time at the left */

	const zoom = () => 4 ** level;
	const round = (share) => (share * seconds).toPrecision(3).replace(/\.?0+$/, "") || "0";

	const show = () => {
		from = Math.max(0, Math.min(from, 1 - 1 / zoom()));
		root.dataset.level = level;
		root.style.setProperty("--from", from);
		root.style.setProperty("--zoom", zoom());
		for (const plot of plots) {
			const width = Number(plot.dataset.w);
			plot.setAttribute("viewBox", `${from * width} 0 ${width / zoom()} ${plot.dataset.h}`);
		}
		bar.querySelector("output").textContent =
			level === 0 ? "all of the time" : `${round(from)} to ${round(from + 1 / zoom())} ${unit}`;
		for (const button of bar.querySelectorAll("button")) {
			const act = button.dataset.act;
			button.disabled = act === "in" ? level + 1 >= levels : level === 0;
		}
	};

	/* Keeps the time at @center, a share of all of it, in the middle. */
	const zoomTo = (next, center) => {
		level = Math.max(0, Math.min(next, levels - 1));
		from = center - 1 / zoom() / 2;
		show();
	};

	const middle = () => from + 1 / zoom() / 2;
	const acts = {
		all: () => zoomTo(0, 0.5),
		in: () => zoomTo(level + 1, middle()),
		out: () => zoomTo(level - 1, middle()),
		left: () => { from -= 0.5 / zoom(); show(); },
		right: () => { from += 0.5 / zoom(); show(); },
	};
	const keys = { "+": "in", "-": "out", 0: "all", ArrowLeft: "left", ArrowRight: "right" };

	for (const plot of plots)
		plot.addEventListener("click", (event) => {
			const box = plot.getBoundingClientRect();
			const at = from + (event.clientX - box.left) / box.width / zoom();
			zoomTo(event.shiftKey ? level - 1 : level + 1, at);
		});
	bar.addEventListener("click", (event) => {
		const act = event.target.dataset.act;
		if (act)
			acts[act]();
	});
	bar.addEventListener("keydown", (event) => {
		const act = keys[event.key];
		if (act) {
			event.preventDefault();
			acts[act]();
		}
	});

	/* Numbers by data-v, largest first; texts from A on; again: the other way round. */
	const sort = (table, column, head) => {
		const body = table.tBodies[0];
		const value = (row) => {
			const cell = row.cells[column];
			return cell.dataset.v === undefined ? cell.textContent : Number(cell.dataset.v);
		};
		const rows = [...body.rows];
		const isNumber = rows.length > 0 && typeof value(rows[0]) === "number";
		const before = head.getAttribute("aria-sort");
		const up = before ? before === "descending" : !isNumber;
		for (const other of table.tHead.rows[0].cells)
			other.removeAttribute("aria-sort");
		head.setAttribute("aria-sort", up ? "ascending" : "descending");
		rows.sort((a, b) => {
			const order = isNumber ? value(a) - value(b) : value(a).localeCompare(value(b));
			return up ? order : -order;
		});
		body.append(...rows);
	};

	for (const table of document.querySelectorAll("table.sort"))
		[...table.tHead.rows[0].cells].forEach((head, column) => {
			const button = document.createElement("button");
			button.type = "button";
			button.append(...head.childNodes);
			head.append(button);
			button.addEventListener("click", () => sort(table, column, head));
		});

	if (plots.length > 0) {
		root.dataset.on = "";
		bar.hidden = false;
		show();
	}
})();
