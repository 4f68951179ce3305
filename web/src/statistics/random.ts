// numpy's random generator as far as the corrected percentages need it, so that the page draws the very
// numbers that Python draws: PCG64 (O'Neill, 2014) and the ziggurats for normal and exponential (Marsaglia
// and Tsang, 2000) and the gamma distribution (the same, ACM Trans. Math. Softw. 26:363, 2000), in single
// precision.

const f = Math.fround;

/** State of `numpy.random.PCG64`, as words of 32 bits from high to low, with the half of a draw kept. */
export interface GeneratorState {
  state: number[];
  inc: number[];
  has: number;
  kept: number;
}

const MULTIPLIER = [0x2360ed05, 0x1fc65da4, 0x4385df64, 0x9fccf645];

interface Ziggurat {
  k: Uint32Array;
  w: Float32Array;
  f: Float32Array;
}

const NORMAL_R = 3.6541528853610087963519472518;
const EXPONENTIAL_R = 7.6971174701310497140446280481;

/** Tables of 256 layers of equal area under a falling density. */
function ziggurat(r: number, area: number, bits: number, density: (x: number) => number, inverse: (y: number) => number): Ziggurat {
  const scale = 2 ** bits;
  const table = { k: new Uint32Array(256), w: new Float32Array(256), f: new Float32Array(256) };
  const q = area / density(r);
  table.k[0] = Math.floor((r / q) * scale);
  table.w[0] = q / scale;
  table.f[0] = 1;
  table.w[255] = r / scale;
  table.f[255] = density(r);
  let above = r;
  for (let i = 254; i >= 1; i--) {
    const x = inverse(area / above + density(above));
    table.k[i + 1] = Math.floor((x / above) * scale);
    table.w[i] = x / scale;
    table.f[i] = density(x);
    above = x;
  }
  table.k[1] = 0;
  return table;
}

const NORMAL = ziggurat(NORMAL_R, 0.0049286732339746519, 23, (x) => Math.exp(-0.5 * x * x), (y) => Math.sqrt(-2 * Math.log(y)));
const EXPONENTIAL = ziggurat(EXPONENTIAL_R, 0.0039496598225815571993, 23, (x) => Math.exp(-x), (y) => -Math.log(y));
const R_NORMAL = f(NORMAL_R);
const INVERSE_R = f(1 / NORMAL_R);
const R_EXPONENTIAL = f(EXPONENTIAL_R);

export class Generator {
  /** State, increment and next state in limbs of 16 bits, from low to high. */
  private s: Int32Array<ArrayBuffer>;
  private readonly inc: Int32Array<ArrayBuffer>;
  private next: Int32Array<ArrayBuffer> = new Int32Array(8);
  private has: number;
  private kept: number;

  constructor(from: GeneratorState) {
    this.s = halves(from.state);
    this.inc = halves(from.inc);
    this.has = from.has;
    this.kept = from.kept;
  }

  /** state * MULTIPLIER + inc, modulo 2^128. */
  private step(): void {
    const { s, inc, next } = this;
    let carry = 0;
    for (let k = 0; k < 8; k++) {
      // up to nine products of 32 bits: exact in a double
      let sum = inc[k]! + carry;
      for (let i = 0; i <= k; i++) sum += s[i]! * FACTOR[k - i]!;
      carry = Math.floor(sum / 65536);
      next[k] = sum - carry * 65536;
    }
    this.next = s;
    this.s = next;
  }

  private uint32(): number {
    if (this.has) {
      this.has = 0;
      return this.kept;
    }
    this.step();
    const s = this.s;
    const high = (((s[7]! ^ s[3]!) << 16) | (s[6]! ^ s[2]!)) >>> 0;
    const low = (((s[5]! ^ s[1]!) << 16) | (s[4]! ^ s[0]!)) >>> 0;
    const turn = s[7]! >>> 10;
    const by = turn & 31;
    const [h, l] = turn & 32 ? [low, high] : [high, low];
    const outHigh = by ? ((h >>> by) | (l << (32 - by))) >>> 0 : h;
    const outLow = by ? ((l >>> by) | (h << (32 - by))) >>> 0 : l;
    this.has = 1;
    this.kept = outHigh;
    return outLow;
  }

  /** Evenly from [0, 1), 24 bits. */
  float(): number {
    return f((this.uint32() >>> 8) * f(1 / 16777216));
  }

  normal(): number {
    for (;;) {
      const r = this.uint32();
      const layer = r & 0xff;
      const size = (r >>> 9) & 0x7fffff;
      let x = f(size * NORMAL.w[layer]!);
      if ((r >>> 8) & 1) x = -x;
      if (size < NORMAL.k[layer]!) return x;
      if (layer === 0) {
        for (;;) {
          const xx = f(-INVERSE_R * f(Math.log1p(-this.float())));
          const yy = f(-f(Math.log1p(-this.float())));
          if (f(yy + yy) > f(xx * xx)) return (size >>> 8) & 1 ? -f(R_NORMAL + xx) : f(R_NORMAL + xx);
        }
      }
      const [above, own] = [NORMAL.f[layer - 1]!, NORMAL.f[layer]!];
      if (f(f(f(above - own) * this.float()) + own) < Math.exp(-0.5 * x * x)) return x;
    }
  }

  exponential(): number {
    for (;;) {
      let r = this.uint32() >>> 1;
      const layer = r & 0xff;
      r >>>= 8;
      const x = f(r * EXPONENTIAL.w[layer]!);
      if (r < EXPONENTIAL.k[layer]!) return x;
      if (layer === 0) return f(R_EXPONENTIAL - f(Math.log1p(-this.float())));
      const [above, own] = [EXPONENTIAL.f[layer - 1]!, EXPONENTIAL.f[layer]!];
      if (f(f(f(above - own) * this.float()) + own) < f(Math.exp(-x))) return x;
    }
  }

  /** Gamma with scale 1. */
  gamma(shape: number): number {
    shape = f(shape);
    if (shape === 1) return this.exponential();
    if (shape === 0) return 0;
    return shape < 1 ? this.smallGamma(shape) : this.largeGamma(shape);
  }

  private smallGamma(shape: number): number {
    const power = f(1 / shape);
    for (;;) {
      const u = this.float();
      const v = this.exponential();
      if (u <= f(1 - shape)) {
        const x = f(Math.pow(u, power));
        if (x <= v) return x;
      } else {
        const y = f(-f(Math.log(f(f(1 - u) / shape))));
        const x = f(Math.pow(f(f(1 - shape) + f(shape * y)), power));
        if (x <= f(v + y)) return x;
      }
    }
  }

  private largeGamma(shape: number): number {
    const b = f(shape - f(1 / 3));
    const c = f(1 / f(Math.sqrt(f(9 * b))));
    for (;;) {
      let x: number;
      let v: number;
      do {
        x = this.normal();
        v = f(1 + f(c * x));
      } while (v <= 0);
      v = f(f(v * v) * v);
      const u = this.float();
      const square = f(x * x);
      if (u < f(1 - f(f(f(0.0331) * square) * square))) return f(b * v);
      if (f(Math.log(u)) < f(f(f(0.5 * x) * x) + f(b * f(f(1 - v) + f(Math.log(v)))))) return f(b * v);
    }
  }
}

function halves(words: number[]): Int32Array<ArrayBuffer> {
  return Int32Array.from([...words].reverse().flatMap((word) => [word & 0xffff, word >>> 16]));
}

const FACTOR = halves(MULTIPLIER);
