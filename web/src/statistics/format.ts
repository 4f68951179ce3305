// Numbers in words as Python's format() writes them, so that a sentence reads the same here and there.

/** Round to the nearest whole number, ties to the even one. */
export function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}

/** `format(x, f".{digits}f")`: JavaScript rounds exact ties up, Python to the even digit. */
export function fixed(x: number, digits: number): string {
  if (Number.isNaN(x)) return "nan";
  const text = x.toFixed(digits);
  const scaled = x * 10 ** digits;
  const isTie = Math.abs(scaled) < 2 ** 50 && Math.abs(scaled % 1) === 0.5 && scaled / 10 ** digits === x && exactly(x, digits);
  return isTie ? (roundHalfEven(scaled) / 10 ** digits).toFixed(digits) : text;
}

/** Whether a decimal of one digit more holds the number without rest: only then is there a tie. */
function exactly(x: number, digits: number): boolean {
  return Number(x.toFixed(digits + 1)) === x && !/[1-9]/.test(x.toFixed(Math.min(digits + 40, 100)).slice(x.toFixed(digits + 1).length));
}

/** `format(x, f".{digits}g")`; "g" alone has six digits. */
export function general(x: number, digits = 6): string {
  if (x === 0) return "0";
  const exponent = Number(x.toExponential(digits - 1).split("e")[1]);
  if (exponent >= -4 && exponent < digits) {
    const text = x.toFixed(Math.max(digits - 1 - exponent, 0));
    return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
  }
  const [mantissa, power] = x.toExponential(digits - 1).split("e") as [string, string];
  const short = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  return `${short}e${power.startsWith("-") ? "-" : "+"}${power.replace(/^[+-]/, "").padStart(2, "0")}`;
}
