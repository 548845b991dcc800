// The charts that Chart.js draws: capacity over time, and how long gaps are.
import { choose, clock, color, cores, day, moment, roundMoments, span } from "./format.js";

const drawn = new Map();

/** Stripes: nobody used it. */
function hatch(ground, stripe) {
	const tile = document.createElement("canvas");
	tile.width = tile.height = 8;
	const pen = tile.getContext("2d");
	pen.fillStyle = ground;
	pen.fillRect(0, 0, 8, 8);
	pen.strokeStyle = stripe;
	pen.lineWidth = 1.3;
	pen.beginPath();
	for (const at of [-4, 0, 4, 8]) {
		pen.moveTo(at, 8);
		pen.lineTo(at + 8, 0);
	}
	pen.stroke();
	return pen.createPattern(tile, "repeat");
}

function axis(title, more = {}) {
	return {
		border: { display: false }, grid: { color: color("line"), drawBorder: false, drawTicks: false },
		ticks: { color: color("muted"), padding: 8, ...more.ticks },
		title: { display: Boolean(title), text: title, color: color("muted") }, ...more.axis,
	};
}

function common() {
	return {
		animation: false, maintainAspectRatio: false, interaction: { mode: "index", intersect: false },
		plugins: { legend: { display: false } },
	};
}

function put(place, configuration) {
	drawn.get(place)?.destroy();
	const holder = document.getElementById(place);
	holder.hidden = false;
	drawn.set(place, new globalThis.Chart(holder.querySelector("canvas"), configuration));
}

function capacity(data) {
	const times = data.used.map((_, index) => data.since + index * data.stepSeconds);
	const points = (values) => values.map((value, index) => ({ x: times[index], y: value }));
	const area = (label, values, fill) => ({
		label, data: points(values), backgroundColor: fill, borderWidth: 0, fill: true, stack: "all", pointRadius: 0,
		pointHitRadius: 0, stepped: "before",
	});
	const [first, last] = [times[0], times[times.length - 1]];
	const marks = roundMoments(first, last, document.getElementById("capacity-chart").parentElement.clientWidth < 600 ? 4 : 8);
	put("capacity-chart", {
		type: "line",
		data: {
			datasets: [
				{ label: "lent", data: points(data.lent.map((value, index) => value + data.used[index])), borderColor: color("ink"),
					borderWidth: 1.2, borderDash: [3, 3], pointRadius: 0, pointHitRadius: 0, fill: false, stack: "line", stepped: "before" },
				area("used by jobs", data.used, color("used")), area("recovered by leases", data.recovered, color("lent")),
				area("white space", data.white, hatch(color("free"), color("hatch"))), area("down", data.down, color("down")),
				area("not watched", data.unwatched, color("unwatched")),
			],
		},
		options: {
			...common(), parsing: false, normalized: true,
			scales: {
				x: axis("", {
					axis: { type: "linear", min: first, max: last, grid: { display: false },
						afterBuildTicks: (scale) => { scale.ticks = marks.moments.map((value) => ({ value })); } },
					ticks: { maxRotation: 0, autoSkip: false, callback: (value) => (marks.hours >= 24 ? day(value) : clock(value)) },
				}),
				y: axis("cores", { axis: { stacked: true, min: 0 } }),
			},
			plugins: {
				legend: { position: "bottom", labels: { color: color("muted"), boxWidth: 12, boxHeight: 12, padding: 14 } },
				tooltip: {
					itemSort: (a, b) => b.datasetIndex - a.datasetIndex, filter: (item) => item.raw.y > 0,
					callbacks: {
						title: (items) => (items.length ? moment(items[0].raw.x) : ""),
						label: (item) => {
							const at = item.dataIndex;
							if (item.dataset.label === "lent") return ` lent: ${cores(data.lent[at])} cores (above what jobs used)`;
							const more = item.dataset.label === "white space" ? `, of it and of the recovered ${cores(data.held[at])} held by jobs` : "";
							return ` ${item.dataset.label}: ${cores(item.raw.y)} cores${more}`;
						},
					},
				},
			},
		},
	});
}

function gaps(data, of) {
	const histogram = data[of];
	const term = {
		id: "term",
		afterDatasetsDraw(chart) {
			if (histogram.termBar === undefined) return;
			const { ctx, chartArea, scales } = chart;
			const half = (scales.x.getPixelForValue(1) - scales.x.getPixelForValue(0)) / 2;
			const x = scales.x.getPixelForValue(histogram.termBar) + half * 0.98;
			const text = `a term of ${span(histogram.termSeconds)} fits`;
			ctx.save();
			ctx.strokeStyle = ctx.fillStyle = color("lent");
			ctx.lineWidth = 2;
			ctx.setLineDash([4, 3]);
			ctx.beginPath();
			ctx.moveTo(x, chartArea.top + 16);
			ctx.lineTo(x, chartArea.bottom);
			ctx.stroke();
			ctx.font = "600 12px system-ui, sans-serif";
			const room = ctx.measureText(text).width;
			ctx.fillText(text, Math.min(Math.max(chartArea.left, x - room / 2), chartArea.right - room), chartArea.top + 10);
			ctx.restore();
		},
	};
	put("gap-chart", {
		type: "bar",
		data: {
			labels: histogram.names,
			datasets: [{ label: "gaps", data: histogram.counts, backgroundColor: color("used"), borderRadius: 3, categoryPercentage: 0.98,
				barPercentage: 0.92 }],
		},
		options: {
			...common(),
			scales: {
				x: axis("length of the gap, up to", { axis: { grid: { display: false } }, ticks: { maxRotation: 0, autoSkipPadding: 8 } }),
				y: axis("gaps", { axis: { beginAtZero: true, grace: "18%" }, ticks: { precision: 0 } }),
			},
			plugins: {
				legend: { display: false },
				tooltip: { callbacks: {
					label: (item) => ` ${item.raw} gaps, ${cores(histogram.hours[item.dataIndex])} ${of === "nodeGaps" ? "node" : "hour"}${of === "nodeGaps" ? "-hours" : "s"} in them`,
				} },
			},
		},
		plugins: [term],
	});
}

/** Draws both, and again whenever the colours change. */
export function start(data) {
	if (!globalThis.Chart) return;
	globalThis.Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
	let of = data.nodeGaps.count ? "nodeGaps" : "coreGaps";
	const draw = () => {
		if (document.getElementById("capacity-chart")) capacity(data);
		if (document.getElementById("gap-chart")) gaps(data, of);
	};
	const group = document.getElementById("gap-switch");
	if (group) {
		for (const button of group.querySelectorAll("button")) button.setAttribute("aria-pressed", String(button.dataset.show === of));
		choose(group, (show) => {
			of = show;
			gaps(data, of);
		});
	}
	draw();
	return draw;
}
