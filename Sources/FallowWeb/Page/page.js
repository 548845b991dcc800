// Wires the page up. Without it the page is whole, but still: numbers and tables as they were when it was made.
import { localize } from "./format.js";

localize(document);

const find = document.getElementById("find-job");
find?.addEventListener("submit", (event) => {
	event.preventDefault();
	const number = document.getElementById("job-number").value.trim();
	if (/^[0-9]+$/.test(number)) location.href = `jobs/${number}`;
});

async function draw(span) {
	const reply = await fetch(`series?since=${encodeURIComponent(span)}`);
	if (!reply.ok) throw new Error(`series: ${reply.status}`);
	const data = await reply.json();
	const charts = await import("./charts.js");
	const heat = await import("./heat.js");
	const again = [charts.start(data), heat.start(data)].filter(Boolean);
	const redraw = () => { for (const one of again) one(); };
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
	// On paper colours are light ones.
	matchMedia("print").addEventListener("change", redraw);
}

const capacity = document.getElementById("capacity");
if (capacity) {
	const live = await import("./live.js");
	live.start();
	if (document.getElementById("capacity-chart") || document.getElementById("gap-chart")) {
		try {
			await draw(capacity.dataset.span);
		} catch (problem) {
			const note = document.createElement("p");
			note.className = "alert";
			note.textContent = `The charts could not be drawn (${problem.message}). The tables say the same.`;
			capacity.querySelector(".card-head").after(note);
			for (const table of document.querySelectorAll("details.table")) table.open = true;
		}
	}
}
