r"""Checks the verdicts of `conclave grade` against SymPy on pairs of answers made up at random.

    pip install sympy==1.14
    python crates/xtask/scripts/check_sympy.py target/release/conclave --pairs 2000 --seed 1

Four groups of pairs, most of them not equal: absolute values, max, min, floor and the like (`|x^2-4|` and `x^2-4`), roots
(`\sqrt{x^2+2x+1}` and `x+1`), trigonometry (identities, and identities with one sign or number changed), and rational
functions with logarithms and exponentials. A template makes two trees; here they are written as LaTeX in the manners
of different people, and their truth is settled apart from the template:

- not equal, where at some real point both have real values that differ (mpmath, 100 digits, and again with 200). Points
  are small and large, of both signs, and close to every root of what stands in bars, below a bar or under a root, and
  between these roots;
- equal, where SymPy proves the difference zero and no point has a value on one side only;
- everything else is dropped: `x/x` and 1, `\sqrt{x}^2` and `x` agree wherever both are real, and graders may differ.

The one exception says so in its kind: `\ln(x^2)` and `2\ln x`, which are not the same, for one has no real value below zero.

The program must not call a pair "same" that is not, and must accept 95 % of the equal ones. Two more checks: |p| is neither
p nor -p for 200 polynomials p that change sign, and `\sqrt{x^2}+x^2+...+x^{111}` is not `x+x^2+...+x^{111}`. Exit code 1
if any of these fails. 2000 pairs take half a minute.

`tests/data/equivalence/sympy.jsonl` was made by

    python crates/xtask/scripts/check_sympy.py --pairs 300 --seed 20 --write tests/data/equivalence/sympy.jsonl

Optional: nothing else needs SymPy.
"""

import argparse
import collections
import fractions
import itertools
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile

import mpmath
import sympy
from mpmath import mp

Q = fractions.Fraction
DIGITS = 100
mp.dps = DIGITS
SHARE = 0.95
NEGATIVES = 0.55

# Trees: ("num", Fraction), ("var", name), ("pi",), ("e",), ("deg", Fraction), ("add", ...), ("mul", ...), ("neg", a),
# ("div", a, b), ("pow", a, b), ("abs", a), ("root", n, a), ("fn", name, a), ("log", base, a), ("max", ...), ("min", ...),
# ("floor", a), ("ceil", a).

PI, E = ("pi",), ("e",)


def num(value):
    return ("num", Q(value))


def var(name):
    return ("var", name)


def add(*terms):
    terms = [t for term in terms for t in (term[1:] if term[0] == "add" else [term]) if t != num(0)]
    return num(0) if not terms else terms[0] if len(terms) == 1 else ("add", *terms)


def mul(*factors):
    """The numbers together and first."""
    coefficient, rest = Q(1), []
    for factor in factors:
        for f in factor[1:] if factor[0] == "mul" else [factor]:
            if f[0] == "num":
                coefficient *= f[1]
            else:
                rest.append(f)
    factors = rest if coefficient == 1 and rest else [num(coefficient), *rest]
    return factors[0] if len(factors) == 1 else ("mul", *factors)


def neg(a):
    if a[0] == "mul" and a[1][0] == "num":
        return mul(num(-1), *a[1:])
    return num(-a[1]) if a[0] == "num" else a[1] if a[0] == "neg" else ("neg", a)


def sub(a, b):
    return add(a, neg(b))


def div(a, b):
    return ("div", a, b)


def power(a, b):
    b = num(b) if isinstance(b, (int, Q)) else b
    return a if b == num(1) else ("pow", a, b)


def absolute(a):
    return ("abs", a)


def root(a, n=2):
    return ("root", n, a)


def fn(name, a):
    return ("fn", name, a)


def exp(a):
    return ("pow", E, a)


def deg(value):
    return ("deg", Q(value))


def children(node):
    return [child for child in node[1:] if isinstance(child, tuple)]


def nodes(node):
    yield node
    for child in children(node):
        yield from nodes(child)


def variables(*trees):
    return sorted({node[1] for tree in trees for node in nodes(tree) if node[0] == "var"})


# Values at real points.


class Undefined(Exception):
    """No real value there."""


def tiny():
    """Less than this is zero."""
    return mpmath.mpf(10) ** (-7 * mp.dps // 10)


def real(node, at):
    """The real value at a point, `None` where there is none."""
    try:
        return evaluate(node, at)
    except Undefined:
        return None


def evaluate(node, at):
    head, rest = node[0], node[1:]
    if head == "num":
        return mpmath.mpf(rest[0].numerator) / rest[0].denominator
    if head == "var":
        return at[rest[0]]
    if head == "pi":
        return +mp.pi
    if head == "e":
        return +mp.e
    if head == "deg":
        return mp.pi * rest[0].numerator / rest[0].denominator / 180
    if head == "root":
        return real_root(evaluate(rest[1], at), rest[0])
    if head == "fn":
        return FUNCTIONS[rest[0]](evaluate(rest[1], at))
    values = [evaluate(child, at) for child in rest]
    if head == "add":
        return sum(values)
    if head == "mul":
        product = values[0]
        for value in values[1:]:
            product *= value
        return product
    if head == "neg":
        return -values[0]
    if head == "div":
        return values[0] * inverse(values[1])
    if head == "pow":
        return real_power(values[0], rest[1], values[1])
    if head == "abs":
        return abs(values[0])
    if head in ("max", "min"):
        return max(values) if head == "max" else min(values)
    if head == "log":
        return logarithm(values[1]) / logarithm(values[0])
    return floor(values[0]) if head == "floor" else -floor(-values[0])


def inverse(x):
    if abs(x) < tiny():
        raise Undefined
    return 1 / x


def logarithm(x):
    if x < tiny():
        raise Undefined
    return mp.log(x)


def floor(x):
    nearest = mp.nint(x)
    return nearest if abs(x - nearest) < tiny() else mp.floor(x)


def real_root(x, n):
    if n % 2 == 0 and x < -tiny():
        raise Undefined
    return mp.root(abs(x), n) * (-1 if x < 0 and n % 2 else 1) if abs(x) > tiny() else mpmath.mpf(0)


def real_power(base, exponent, value):
    if exponent[0] == "num" and exponent[1].denominator == 1:
        return base ** int(exponent[1]) if exponent[1] >= 0 else inverse(base) ** int(-exponent[1])
    if base < -tiny() or abs(value) > 10**6:
        raise Undefined
    if base < tiny():
        if value <= 0:
            raise Undefined
        return mpmath.mpf(0)
    return mp.exp(value * mp.log(base))


def arc(function):
    def inside(x):
        if abs(x) > 1 + tiny():
            raise Undefined
        return function(max(-1, min(1, x)))

    return inside


FUNCTIONS = {
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": lambda x: mp.sin(x) * inverse(mp.cos(x)),
    "cot": lambda x: mp.cos(x) * inverse(mp.sin(x)),
    "sec": lambda x: inverse(mp.cos(x)),
    "csc": lambda x: inverse(mp.sin(x)),
    "arcsin": arc(mp.asin),
    "arccos": arc(mp.acos),
    "arctan": mp.atan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "ln": logarithm,
    "sgn": lambda x: mp.sign(x) if abs(x) > tiny() else mpmath.mpf(0),
}
TRIGONOMETRIC = {"sin", "cos", "tan", "cot", "sec", "csc"}


# Polynomials as {exponents: coefficient}, for the generator and for the roots near which to look.


def poly_add(p, q, factor=1):
    total = dict(p)
    for exponents, coefficient in q.items():
        total[exponents] = total.get(exponents, 0) + factor * coefficient
    return {e: c for e, c in total.items() if c}


def poly_mul(p, q):
    total = {}
    for (e, c), (f, d) in itertools.product(p.items(), q.items()):
        exponents = tuple(map(sum, zip(e, f)))
        total[exponents] = total.get(exponents, 0) + c * d
    return {e: c for e, c in total.items() if c}


def poly_power(p, n):
    total = {(0,) * len(next(iter(p))): Q(1)}
    for _ in range(n):
        total = poly_mul(total, p)
    return total


def poly_of(node, names):
    """The polynomial that a tree is, if it is one and a small one."""
    head = node[0]
    zero = (0,) * len(names)
    if head == "num":
        return {zero: node[1]} if node[1] else {}
    if head == "var":
        return {tuple(int(name == node[1]) for name in names): Q(1)}
    if head not in ("add", "mul", "neg", "div", "pow"):
        return None
    if head == "pow":
        base = poly_of(node[1], names)
        exponent = node[2][1] if node[2][0] == "num" else None
        if not base or exponent is None or exponent.denominator > 1 or not 0 <= exponent <= 12:
            return None
        return poly_power(base, int(exponent))
    parts = [poly_of(child, names) for child in node[1:]]
    if any(part is None for part in parts):
        return None
    if head == "neg":
        return poly_add({}, parts[0], -1)
    if head == "div":
        if set(parts[1]) != {zero}:
            return None
        return {e: c / parts[1][zero] for e, c in parts[0].items()}
    total = {} if head == "add" else {zero: Q(1)}
    for part in parts:
        total = poly_add(total, part) if head == "add" else poly_mul(total, part)
    return total


def real_roots(coefficients):
    """Real roots of a polynomial in one variable, {degree: coefficient}: as they are, or to 18 places."""
    degree = max(coefficients, default=0)
    if degree == 0:
        return []
    if degree == 1:
        return [-coefficients.get(0, Q(0)) / coefficients[1]]
    rational = {(k,): sympy.Rational(c.numerator, c.denominator) for k, c in coefficients.items()}
    whole = sympy.Poly(rational, sympy.Symbol("x"))
    listed = [mpmath.mpf(int(c.p)) / int(c.q) for c in whole.sqf_part().all_coeffs()]
    with mp.workdps(25):
        try:
            found = mp.polyroots(listed, maxsteps=200, extraprec=100)
        except mpmath.libmp.NoConvergence:
            return []
        found = [mp.re(r) for r in found if abs(mp.im(r)) < 1e-6 * (1 + abs(r))]
        approximate = [Q(int(mp.nint(r * 10**18)), 10**18) for r in found]
    exact = [r.limit_denominator(2000) for r in approximate]
    known = [sum(c * r**k for k, c in coefficients.items()) == 0 for r in exact]
    return [e if sure else a for e, sure, a in zip(exact, known, approximate)]


# Points to look at.

SIZES = [Q(text) for text in "0.001 0.0137 0.13 1/3 0.5 0.77 1 1.37 1.5 2 2.9 3 5 7.3 20.6 55 147 310.5 998".split()]
MILD = [s for s in SIZES if s < 8]


def watched(tree):
    """What changes the character of an expression where it is zero."""
    for node in nodes(tree):
        if node[0] in ("abs", "floor", "ceil"):
            yield node[1]
        elif node[0] in ("root", "fn", "div", "log"):
            yield node[2]
            if node[0] == "fn" and node[1] in ("arcsin", "arccos"):
                yield add(node[2], num(1))
                yield add(node[2], num(-1))
        elif node[0] == "pow":
            yield node[1]
        elif node[0] in ("max", "min"):
            yield from (sub(a, b) for a, b in itertools.combinations(node[1:], 2))


def around(roots):
    """On both sides of each root, at those that are known, and half-way between neighbours."""
    for r in roots:
        scale = Q(max(1, abs(r)))
        yield from (r + scale / 1000, r - scale / 1000, r + scale / 10**5, r - scale / 10**5)
        if r.denominator < 10**12:
            yield r
    ordered = sorted(set(roots))
    yield from (a + (b - a) / 2 for a, b in zip(ordered, ordered[1:]))


def as_float(x):
    return mpmath.mpf(x.numerator) / x.denominator


def points(a, b, rng):
    names = variables(a, b)
    if not names:
        return [{}]
    steep = any(n[0] == "pow" and n[2][0] != "num" or n[0] == "fn" and n[1][-1] == "h" for t in (a, b) for n in nodes(t))
    periodic = any(n[0] == "fn" and n[1] in TRIGONOMETRIC for t in (a, b) for n in nodes(t))
    sizes = MILD if steep else SIZES
    several = [s * sign for s in sizes for sign in (1, -1)] + [0]
    polynomials = []
    for tree in itertools.chain(watched(a), watched(b)):
        p = poly_of(tree, names)
        if p and p not in polynomials and any(map(any, p)):
            polynomials.append(p)
    found = []
    for p in polynomials[:12]:
        for at, _ in enumerate(names):
            for _ in range(1 if len(names) == 1 else 3):
                others = [rng.choice(several) for _ in names]
                line = collections.defaultdict(Q)
                for exponents, c in p.items():
                    rest = c
                    for k, exponent in enumerate(exponents):
                        rest *= others[k] ** exponent if k != at else 1
                    line[exponents[at]] += rest
                roots = real_roots({k: c for k, c in line.items() if c})
                for value in around(roots):
                    if not steep or abs(value) < 8:
                        found.append([value if k == at else other for k, other in enumerate(others)])
    if len(names) == 1:
        # Roots of different parts, and what lies between them.
        roots = [r for p in polynomials for r in real_roots({e[0]: c for e, c in p.items()})]
        found += [[value] for value in around(roots) if not steep or abs(value) < 8]
        found += [[value] for value in several]
    else:
        found += [[rng.choice(several) for _ in names] for _ in range(40)]
    result = [dict(zip(names, map(as_float, values))) for values in found]
    if periodic:
        steps = [[k] for k in range(-24, 25)]
        if len(names) > 1:
            steps = [[rng.randint(-24, 24) for _ in names] for _ in range(20)]
        result += [{name: mp.pi * k / 12 for name, k in zip(names, step)} for step in steps]
    return result


# Truth.


def settle(a, b, expected, connected, rng):
    """True: proved equal; False: refuted; None: neither, or with different domains."""
    agree, domains = 0, True
    look = points(a, b, rng)
    for at in look:
        x, y = real(a, at), real(b, at)
        if x is None or y is None:
            domains &= (x is None) == (y is None)
            continue
        gap, scale = abs(x - y), max(1, abs(x), abs(y))
        if gap <= scale * mpmath.mpf(10) ** -45:
            agree += 1
        elif gap > scale * mpmath.mpf(10) ** -25 and confirmed(a, b, at, gap):
            return False
        else:
            return None
    if not expected or not domains or agree < (3 if look[0] else 1):
        return None
    return True if proved(a, b, connected) else None


def confirmed(a, b, at, gap):
    """Whether twice the digits give the same difference."""
    with mp.workdps(2 * DIGITS):
        x, y = real(a, at), real(b, at)
        return x is not None and y is not None and abs(abs(x - y) - gap) < gap / 100


class Timeout(Exception):
    pass


def out_of_time(*_):
    raise Timeout


def proved(a, b, connected):
    signal.signal(signal.SIGALRM, out_of_time)
    for method in [by_normal_form, by_derivative if connected else None, by_constants]:
        signal.alarm(10)
        try:
            if method and method(a, b):
                return True
        except (Timeout, sympy.PolynomialError, NotImplementedError):
            pass
        finally:
            signal.alarm(0)
    return False


def plain(node):
    """The tree in SymPy, with real variables."""
    head, rest = node[0], node[1:]
    if head == "num":
        return sympy.Rational(rest[0].numerator, rest[0].denominator)
    if head == "var":
        return sympy.Symbol(rest[0], real=True)
    if head in ("pi", "e"):
        return sympy.pi if head == "pi" else sympy.E
    if head == "deg":
        return sympy.pi * plain(num(rest[0] / 180))
    if head == "root":
        inner = plain(rest[1])
        return sympy.root(inner, rest[0]) if rest[0] % 2 == 0 else sympy.sign(inner) * sympy.root(sympy.Abs(inner), rest[0])
    if head == "fn":
        return SYMPY[rest[0]](plain(rest[1]))
    parts = [plain(child) for child in rest]
    return SYMPY[head](*parts)


SYMPY = {
    "add": sympy.Add,
    "mul": sympy.Mul,
    "neg": lambda a: -a,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "abs": sympy.Abs,
    "log": lambda base, a: sympy.log(a) / sympy.log(base),
    "max": sympy.Max,
    "min": sympy.Min,
    "floor": sympy.floor,
    "ceil": lambda a: -sympy.floor(-a),
    "sin": sympy.sin,
    "cos": sympy.cos,
    "tan": lambda a: sympy.sin(a) / sympy.cos(a),
    "cot": lambda a: sympy.cos(a) / sympy.sin(a),
    "sec": lambda a: 1 / sympy.cos(a),
    "csc": lambda a: 1 / sympy.sin(a),
    "arcsin": sympy.asin,
    "arccos": sympy.acos,
    "arctan": sympy.atan,
    "sinh": lambda a: (sympy.exp(a) - sympy.exp(-a)) / 2,
    "cosh": lambda a: (sympy.exp(a) + sympy.exp(-a)) / 2,
    "tanh": lambda a: (sympy.exp(a) - sympy.exp(-a)) / (sympy.exp(a) + sympy.exp(-a)),
    "ln": sympy.log,
    "sgn": sympy.sign,
}


class Normal:
    """Trees in SymPy, absolute values and roots taken apart into those of irreducible factors, which become symbols.

    |c f^2 g| is |c| f^2 |g|, where |g| is a symbol whose square is g^2; likewise roots, and ln is a sum of ln |f|.
    Two trees that are zero apart in these symbols are equal wherever both are real.
    """

    def __init__(self):
        self.symbols = {}
        self.relations = []

    def symbol(self, key, relation=None, **assumptions):
        """`relation`: the degree and the value of the symbol's power."""
        if key not in self.symbols:
            self.symbols[key] = sympy.Dummy(real=True, **assumptions)
            if relation:
                self.relations.append((self.symbols[key], *relation))
        return self.symbols[key]

    def factors(self, e):
        """A constant, and irreducible factors with their exponents."""
        constant, result = sympy.Integer(1), []
        for part, sign in zip(sympy.fraction(sympy.together(e)), (1, -1)):
            if part.is_number:
                constant *= part**sign
                continue
            c, listed = sympy.factor_list(part)
            constant *= c**sign
            for f, k in listed:
                if f.is_number:
                    constant *= f ** (sign * k)
                    continue
                if f.could_extract_minus_sign():
                    f, constant = -f, constant * (-1) ** k
                result.append((f, sign * k))
        return constant, result

    def one_sign(self, f):
        """1 or -1 for what is never below or above zero, else None."""
        if f.is_nonnegative or f.is_nonpositive:
            return 1 if f.is_nonnegative else -1
        if len(f.free_symbols) == 1 and f.is_polynomial() and all(c.is_Rational for c in sympy.Poly(f).all_coeffs()):
            p = sympy.Poly(f)
            if p.count_roots() == 0:
                return 1 if p.eval(0) > 0 else -1
        return None

    def absolute(self, e):
        constant, factors = self.factors(e)
        result = sympy.Abs(constant)
        for f, k in factors:
            if k % 2 == 0:
                result *= f**k
            elif sign := self.one_sign(f):
                result *= (sign * f) ** k
            else:
                result *= self.symbol(("abs", f), (2, f**2), nonnegative=True) ** k
        return result

    def root(self, e, n):
        e = sympy.expand(e)
        if e.is_number:
            return constant_root(e, n)
        constant, factors = self.factors(e)
        outside, inside = sympy.Integer(1), sympy.Integer(1)
        for f, k in factors:
            whole, rest = divmod(k, n)
            outside *= f**whole
            inside *= f**rest
        if n % 2 == 0:
            # The outside may have either sign; what stays inside and the constant then decide the domain.
            outside = self.absolute(outside)
        number = sympy.Abs(constant)
        if constant.is_negative:
            inside = -inside
        if inside == -1 and n % 2:
            return -constant_root(number, n) * outside
        if inside == 1:
            return constant_root(number, n) * outside
        inside = sympy.expand(inside)
        if n % 2 and inside.could_extract_minus_sign():
            return -constant_root(number, n) * outside * self.symbol(("root", n, -inside), (n, -inside))
        return constant_root(number, n) * outside * self.symbol(("root", n, inside), (n, inside))

    def logarithm(self, e):
        if e.func == sympy.exp:
            return e.args[0]
        constant, factors = self.factors(e)
        total = sympy.Integer(0)
        if constant.is_Rational:
            for prime, k in sympy.factorrat(abs(constant)).items():
                if prime != -1:
                    total += k * self.symbol(("ln", sympy.Integer(prime)))
        else:
            total += sympy.log(sympy.Abs(constant))
        for f, k in factors:
            if f.func == sympy.exp:
                total += k * f.args[0]
            elif f in self.root_of:
                n, g = self.root_of[f]
                total += sympy.Rational(k, n) * self.logarithm(g)
            elif f in self.abs_of:
                total += k * self.symbol(("ln", self.abs_of[f]))
            else:
                total += k * self.symbol(("ln", f))
        return total

    @property
    def root_of(self):
        return {s: key[1:] for key, s in self.symbols.items() if key[0] == "root"}

    @property
    def abs_of(self):
        return {s: key[1] for key, s in self.symbols.items() if key[0] == "abs"}

    def exponential(self, u):
        logarithms = {s: key[1] for key, s in self.symbols.items() if key[0] == "ln" and key[1].is_Integer}
        rest, result = sympy.Integer(0), sympy.Integer(1)
        for term in sympy.Add.make_args(sympy.expand(u)):
            c, other = term.as_coeff_Mul()
            if other in logarithms:
                result *= logarithms[other] ** c
            else:
                rest += term
        return result * sympy.exp(rest)

    def of(self, node):
        head, rest = node[0], node[1:]
        if head in ("num", "var", "pi", "e", "deg"):
            return plain(node)
        if head == "abs":
            return self.absolute(self.of(rest[0]))
        if head == "root":
            return self.root(self.of(rest[1]), rest[0])
        if head == "fn" and rest[0] == "ln":
            return self.logarithm(self.of(rest[1]))
        if head == "fn":
            return SYMPY[rest[0]](sympy.expand(self.of(rest[1])))
        if head == "log":
            return self.logarithm(self.of(rest[1])) / self.logarithm(self.of(rest[0]))
        if head in ("max", "min"):
            total = self.of(rest[0])
            for child in rest[1:]:
                other = self.of(child)
                gap = self.absolute(sympy.expand(total - other))
                total = (total + other + (gap if head == "max" else -gap)) / 2
            return total
        if head == "pow":
            base, exponent = rest
            if base == E:
                return self.exponential(self.of(exponent))
            if exponent[0] != "num":
                return self.exponential(self.logarithm(self.of(base)) * self.of(exponent))
            if exponent[1].denominator > 1:
                # A real power of what is not negative.
                return self.root(self.of(base), exponent[1].denominator) ** exponent[1].numerator
            return self.of(base) ** int(exponent[1])
        if head in ("floor", "ceil"):
            return SYMPY[head](sympy.expand(self.of(rest[0])))
        return SYMPY[head](*map(self.of, rest))

    def is_zero(self, e):
        if e == 0 or sympy.expand(e) == 0:
            return True
        # Where there is an even root of f, f is |f|.
        not_negative = {key[2] for key in self.symbols if key[0] == "root" and key[1] % 2 == 0}
        e = e.subs({s: key[1] for key, s in self.symbols.items() if key[0] == "abs" and key[1] in not_negative})
        e, relations = self.without_trigonometry(e)
        numerator = sympy.expand(sympy.fraction(sympy.together(e))[0])
        for symbol, degree, value in relations:
            if numerator.has(symbol):
                numerator = sympy.expand(sympy.rem(numerator, symbol**degree - value, symbol))
                numerator = sympy.expand(sympy.fraction(sympy.together(numerator))[0])
        return numerator == 0

    def without_trigonometry(self, e):
        """Sines and cosines of sums opened and made symbols; with the relations of all symbols, newest first."""
        used = [(s, n, g) for s, n, g in reversed(self.relations)]
        everything = sympy.Tuple(e, *(g for _, _, g in used))
        # Numbers in angles are multiples of a symbol: 2x + 2 is twice x + 1.
        one = sympy.Dummy(real=True)
        everything = everything.replace(
            lambda f: isinstance(f, (sympy.sin, sympy.cos)) and not f.is_number,
            lambda f: f.func(f.args[0] + (one - 1) * f.args[0].as_coeff_Add()[0]),
        )
        angles = {f.args[0] for f in everything.atoms(sympy.sin, sympy.cos) if not f.is_number}
        if not angles:
            return e, used
        for name in sorted(everything.free_symbols, key=str):
            shares = [sympy.diff(angle, name) for angle in angles]
            scale = sympy.ilcm(1, 1, *(s.q for s in shares if s.is_Rational))
            everything = everything.subs(name, scale * name)
        everything = sympy.Tuple(*(sympy.expand_trig(sympy.expand(part)) for part in everything))
        squares = []
        for angle in sorted({f.args[0] for f in everything.atoms(sympy.sin, sympy.cos)}, key=str):
            s, c = sympy.Dummy(real=True), sympy.Dummy(real=True)
            everything = everything.subs({sympy.sin(angle): s, sympy.cos(angle): c})
            squares.append((c, 2, 1 - s**2))
        e, *values = everything
        return e, [(s, n, g) for (s, n, _), g in zip(used, values)] + squares


def constant_root(e, n):
    """The real root of a constant, taken out of nested roots where that is possible."""
    if n % 2 and e.is_negative:
        return -constant_root(-e, n)
    if n == 2:
        return sympy.sqrtdenest(sympy.sqrt(e))
    radicals = [f for f in e.atoms(sympy.Pow) if f.exp == sympy.S.Half]
    if n == 3 and len(radicals) == 1 and not e.is_Rational:
        # (p + q sqrt(r))^3, with the other root by the opposite sign of sqrt(r).
        r = radicals[0]
        one = sympy.real_root(e.evalf(40), 3)
        other = sympy.real_root(sympy.expand(e.subs(r, -r)).evalf(40), 3)
        p = sympy.nsimplify(((one + other) / 2).evalf(20), rational=True, tolerance=1e-12)
        q = sympy.nsimplify(((one - other) / 2 / r).evalf(20), rational=True, tolerance=1e-12)
        if sympy.expand((p + q * r) ** 3 - e) == 0:
            return p + q * r
    return sympy.root(e, n)


def never_negative(node):
    head = node[0]
    if not variables(node):
        return real(node, {}) is not None and real(node, {}) >= 0
    if head in ("add", "mul", "div", "max"):
        return all(map(never_negative, children(node)))
    if head == "pow":
        return node[1] == E or node[2][0] == "num" and (node[2][1].numerator % 2 == 0 or never_negative(node[1]))
    return head == "abs" or head == "root" and (node[1] % 2 == 0 or never_negative(node[2]))


def by_normal_form(a, b):
    normal = Normal()
    x, y = normal.of(a), normal.of(b)
    if normal.is_zero(x - y):
        return True
    # Equal powers: of odd degree, or of two sides that are never negative.
    heads = {node[0] for tree in (a, b) for node in nodes(tree)}
    if heads & {"root", "abs", "pow"} and len(variables(a, b)) <= 2:
        if never_negative(a) and never_negative(b) and normal.is_zero(sympy.expand(x**2) - sympy.expand(y**2)):
            return True
        if never_negative(a) and never_negative(b) and "root" in heads and normal.is_zero(x**4 - y**4):
            return True
        if "root" in (a[0], b[0]) and normal.is_zero(x**3 - y**3):
            return True
    return False


def by_constants(a, b):
    """Constants: sums of arctangents by their tangent, algebraic numbers by the minimal polynomial of the difference."""
    if variables(a, b):
        return False
    difference = sympy.expand_trig(plain(a) - plain(b))
    if difference == 0 or turns(difference):
        return True
    t = sympy.Dummy()
    return sympy.minimal_polynomial(difference, t) == t


def turns(difference):
    """Whether a sum of k arctan(t) is a multiple of pi: the product of the (1 + i t)^k is real. To 45 digits it is zero."""
    product = sympy.Integer(1)
    for term in sympy.Add.make_args(difference):
        k, f = term.as_coeff_Mul()
        if f == sympy.pi:
            k, f = 4 * k, sympy.atan(1, evaluate=False)
        if f.func != sympy.atan or not k.is_Integer:
            return False
        product *= (1 + sympy.I * f.args[0]) ** k
    return sympy.im(sympy.expand(product)) == 0


def by_derivative(a, b):
    """On an interval, or on one each side of zero: equal derivatives, and equal values at a point (checked before)."""
    (name,) = variables(a, b)
    x, p = sympy.Symbol(name, real=True), sympy.Dummy(positive=True)
    difference = plain(a) - plain(b)
    if sympy.simplify(sympy.diff(difference, x)) == 0:
        return True
    for sign in (1, -1):
        side = difference.subs(x, sign * p).subs(sympy.Abs(sympy.asin(p)), sympy.asin(p))
        if sympy.simplify(sympy.diff(side, p)) != 0:
            return False
    return True


# Writing.


class Writer:
    """One person's manner of writing LaTeX."""

    def __init__(self, rng):
        self.rng = rng
        self.bars = rng.choice([("|", "|")] * 3 + [(r"\left|", r"\right|")] * 2 + [(r"\lvert ", r" \rvert")])
        self.sizing = rng.random() < 0.3
        self.plus = rng.choice(["+", " + "])
        self.minus = self.plus.replace("+", "-")
        self.fraction = rng.choice([r"\frac"] * 4 + [r"\dfrac"])
        self.short = rng.random() < 0.2
        self.decimals = rng.random() < 0.4
        self.brackets = rng.random() < 0.5
        self.inverse = rng.random() < 0.2
        self.apart = rng.random() < 0.3
        self.circle = rng.choice([r"^\circ", r"^{\circ}"])

    def text(self, node):
        """A whole sum."""
        head = node[0]
        if head != "add":
            return self.term(node)
        out = self.term(node[1])
        for term in node[2:]:
            written = self.term(term)
            out += self.minus + written[1:].lstrip() if written.startswith("-") else self.plus + written
        return out

    def round(self, inner):
        return rf"\left({inner}\right)" if self.sizing and len(inner) > 3 else f"({inner})"

    def term(self, node):
        """What may stand in a sum."""
        head = node[0]
        if head == "num":
            return self.number(node[1])
        if head == "neg":
            inner = self.term(node[1]) if node[1][0] != "add" else self.round(self.text(node[1]))
            return "-" + (self.round(inner) if inner.startswith("-") else inner)
        if head == "mul":
            return self.product(node[1:])
        if head == "add":
            return self.round(self.text(node))
        return self.factor(node, True)

    def number(self, q):
        if q < 0:
            return "-" + self.number(-q)
        if q.denominator == 1:
            return str(q.numerator)
        if self.decimals and 10**4 % q.denominator == 0:
            return f"{q.numerator / q.denominator:.10g}"
        return self.over(str(q.numerator), str(q.denominator))

    def over(self, a, b):
        if self.short and len(a) == len(b) == 1 and (a + b).isdigit():
            return rf"\frac{a}{b}"
        return f"{self.fraction}{{{a}}}{{{b}}}"

    def product(self, factors):
        out = ""
        factors = list(factors)
        if factors[0][0] == "num" and len(factors) > 1:
            q = factors.pop(0)[1]
            out = "-" if q == -1 else "" if q == 1 else self.number(q)
        elif factors[0][0] == "neg":
            out = "-"
            factors[0] = factors[0][1]
        for at, node in enumerate(factors):
            # Behind a function without brackets there may be another function only.
            bare = all(self.calls(other) for other in factors[at + 1 :])
            written = self.number(node[1]) if node[0] == "num" else self.factor(node, bare)
            if node[0] in ("add", "neg") or node[0] == "num" and node[1] < 0:
                written = self.round(self.text(node))
            ends, begins = out[-1:], written[:1]
            if out not in ("", "-") and begins.isdigit() or ends.isdigit() and written.startswith((r"\frac", r"\dfrac")):
                out += r" \cdot "
            elif out not in ("", "-") and self.apart and begins not in "|(":
                out += " "
            elif begins.isalpha() and ends.isalpha() and "\\" in out[out.rfind(" ") + 1 :]:
                out += " "  # `\pi x`
            out += written
        return out

    def calls(self, node):
        return node[0] == "fn" or node[0] == "pow" and node[1][0] == "fn"

    def factor(self, node, bare):
        """What may stand in a product."""
        head = node[0]
        if head == "var":
            return node[1]
        if head in ("pi", "e"):
            return r"\pi" if head == "pi" else "e"
        if head == "deg":
            return f"{float(node[1]):g}" + self.circle
        if head == "div":
            return self.over(self.text(node[1]), self.text(node[2]))
        if head == "abs":
            inner = self.text(node[1])
            if "|" in inner and self.bars[0] == "|":
                # `||x|-3|` is read, `|x|x|-3|` is not.
                if inner.startswith("|") and inner.count("|") == 2 and not inner.endswith("|"):
                    return f"|{inner}|"
                return rf"\left|{inner}\right|"
            return f"{self.bars[0]}{inner}{self.bars[1]}"
        if head == "root":
            inner = self.text(node[2])
            if node[1] != 2:
                return rf"\sqrt[{node[1]}]{{{inner}}}"
            return rf"\sqrt{inner}" if self.short and len(inner) == 1 and inner.isdigit() else rf"\sqrt{{{inner}}}"
        if head == "fn":
            return self.call(node[1], "", node[2], bare)
        if head == "log":
            base = self.text(node[1])
            return self.call(f"log_{base}" if len(base) == 1 else f"log_{{{base}}}", "", node[2], bare)
        if head in ("max", "min"):
            left, right = (r"\{", r"\}") if self.apart else (r"\left(", r"\right)") if self.sizing else ("(", ")")
            return rf"\{head}{left}{', '.join(map(self.text, node[1:]))}{right}"
        if head in ("floor", "ceil"):
            left, right = (r"\left", r"\right") if self.sizing else ("", "")
            return rf"{left}\l{head} {self.text(node[1])} {right}\r{head}"
        if head == "pow":
            base, exponent = node[1:]
            written = self.text(exponent).replace("dfrac", "frac")
            if exponent[0] == "num" and exponent[1].denominator > 1 and base[0] in ("var", "add"):
                written = f"{exponent[1].numerator}/{exponent[1].denominator}"
            before = base[0] == "fn" and base[1] in TRIGONOMETRIC | {"sinh", "cosh", "ln"}
            if before and exponent[0] == "num" and exponent[1] > 1:
                return self.call(base[1], f"^{written}" if len(written) == 1 else f"^{{{written}}}", base[2], bare)
            below = self.factor(base, False) if base[0] not in ("num", "add", "mul", "neg") else self.text(base)
            simple = base[0] in ("var", "e", "pi", "abs") or base[0] == "num" and below.isdigit()
            if not simple:
                below = self.round(below)
            return f"{below}^{written}" if len(written) == 1 else f"{below}^{{{written}}}"
        return self.round(self.text(node))

    def call(self, name, exponent, argument, bare):
        if name == "sgn":
            return rf"\operatorname{{sgn}}({self.text(argument)})"
        if self.inverse and name in ("arcsin", "arccos", "arctan"):
            name, exponent = name[3:], "^{-1}"
        inner = self.text(argument)
        kind = argument[0]
        short = kind in ("var", "deg", "abs", "pi", "div")
        short |= kind == "num" and (inner.isdigit() or inner.startswith((r"\frac", r"\dfrac")))
        if kind == "mul" and len(argument) == 3 and argument[1][0] == "num" and argument[2][0] == "var":
            short = argument[1][1] > 1 and argument[1][1].denominator == 1
        if bare and short and not (self.brackets and kind != "abs"):
            space = "" if inner.startswith(("\\", "|")) else " "
            return rf"\{name}{exponent}{space}{inner}"
        return rf"\{name}{exponent}{self.round(inner)}"


# Making pairs.


class Maker:
    """Draws numbers, polynomials and ways to arrange them."""

    def __init__(self, rng):
        self.rng = rng

    def chance(self, share):
        return self.rng.random() < share

    def pick(self, *options):
        return self.rng.choice(options)

    def names(self, n=1):
        one = self.pick("x", "x", "x", "x", "t", "y", "a", "n", "u")
        two, three = self.pick("xy", "ab", "uv"), self.pick("xyz", "abc")
        return {1: (one,), 2: tuple(two), 3: tuple(three)}[n]

    def name(self):
        return var(self.names()[0])

    def small(self, low=1, high=9):
        return self.rng.randint(low, high)

    def signed(self, high=9):
        return self.small(1, high) * self.pick(1, -1)

    def size(self):
        """Between 0.01 and 300."""
        r = self.rng
        return r.choice([
            lambda: Q(r.randint(1, 12)),
            lambda: Q(r.randint(1, 12)),
            lambda: Q(r.randint(1, 6)),
            lambda: Q(r.randint(13, 300)),
            lambda: Q(r.randint(1, 20), r.randint(2, 7)),
            lambda: Q(r.randint(1, 99), 100),
            lambda: Q(r.randint(1, 9), 100),
        ])()

    def where(self):
        """A root."""
        return self.size() * self.pick(1, -1) if self.chance(0.93) else Q(0)

    def linear(self):
        """x - r, or b x - a for r = a/b."""
        r = self.where()
        if self.chance(0.5) and r.denominator < 10:
            return {(1,): Q(r.denominator), (0,): Q(-r.numerator)}
        return {(1,): Q(1), (0,): -r}

    def definite(self):
        """Above zero everywhere: (x - h)^2 + k."""
        h, k = Q(self.small(-6, 6)), self.size()
        return {e: c for e, c in {(2,): Q(1), (1,): -2 * h, (0,): h * h + k}.items() if c}

    def factors(self, degree=None):
        """Of a polynomial in one variable that changes sign: [(factor, exponent)]."""
        degree = degree or self.pick(1, 1, 2, 2, 2, 3, 3, 4)
        result, left = [], degree
        while left:
            factor = {e: c for e, c in self.linear().items() if c}
            k = 1 if left == 1 or not result or self.chance(0.85) else 2
            if left >= 3 and self.chance(0.15):
                factor, k = self.definite(), 1
            if factor not in [f for f, _ in result]:
                result.append((factor, k))
                left -= max(factor)[0] * k
        if not any(k % 2 and max(f) == (1,) for f, k in result):
            return self.factors(degree)
        return result

    def polynomial(self, degree=None):
        """A tree in one variable that changes sign, in one of its forms, and others of its forms on request."""
        return Polynomial(self, [self.pick(1, 1, 1, 1, 2, 3, -1, -2)], self.factors(degree), self.names(1))

    def irrational(self):
        """Changes sign, at roots that may not be rational."""
        while True:
            degree = self.pick(2, 2, 3, 3, 4)
            p = {(k,): Q(self.small(-9, 9)) for k in range(degree)} | {(degree,): Q(self.pick(1, 1, 2, 3))}
            if self.chance(0.5):
                p = {(degree,): Q(1), (0,): Q(-self.small(2, 300))}
            p = {e: c for e, c in p.items() if c}
            roots = real_roots({e[0]: c for e, c in p.items()})
            if len(p) > 1 and len(roots) == len(set(roots)) and roots:
                return Polynomial(self, [1], [(p, 1)], self.names(1))

    def two(self):
        """In two variables, and of either sign."""
        m, n, k = self.signed(), self.signed(), self.where()
        shapes = [
            {(1, 0): m, (0, 1): n, (0, 0): k},
            {(1, 0): 1, (0, 1): -1},
            {(1, 1): 1, (0, 0): -k},
            {(1, 1): 1},
            {(2, 0): 1, (0, 1): -n},
            {(2, 0): 1, (0, 2): -1},
            {(2, 0): 1, (0, 2): -(n**2)},
            {(2, 1): 1, (0, 1): -k, (0, 0): m},
            {(2, 0): 1, (1, 1): n, (0, 2): -1},
            {(1, 0): 1, (0, 2): -1, (0, 0): k},
            {(3, 0): 1, (0, 3): 1},
        ]
        p = {e: Q(c) for e, c in self.rng.choice(shapes).items() if c}
        return Polynomial(self, [1], [(p, 1)], self.names(2))

    def changing(self):
        return self.pick(self.polynomial, self.polynomial, self.polynomial, self.irrational, self.two)()

    def positive(self):
        """Never below zero."""
        x = self.names(1)
        if self.chance(0.3):
            names = self.names(2)
            p = self.pick({(2, 0): Q(1), (0, 2): Q(1)}, {(2, 0): Q(1), (0, 2): Q(self.small(2, 9)), (0, 0): self.size()})
            return Polynomial(self, [1], [(p, 1)], names)
        factors = [(self.definite(), 1)]
        if self.chance(0.2):
            factors = [({(2,): Q(1), (1,): -2 * (h := Q(self.signed())), (0,): h * h}, 1)]
        elif self.chance(0.2):
            factors.append(({(2,): Q(1), (0,): Q(self.small())}, 1))
        elif self.chance(0.2):
            factors = [({(4,): Q(1), (2,): Q(self.small()), (0,): Q(self.small())}, 1)]
        return Polynomial(self, [self.pick(1, 1, 2, 3)], factors, x)

    def tree(self, p, names):
        """A polynomial written out, mostly in falling degree."""
        order = sorted(p, key=lambda e: (sum(e), e), reverse=True)
        if self.chance(0.1):
            order.reverse()
        elif self.chance(0.1):
            self.rng.shuffle(order)
        terms = []
        for exponents in order:
            variables = [power(var(v), k) for v, k in zip(names, exponents) if k]
            c = p[exponents]
            terms.append(mul(num(c), *variables) if c != -1 or not variables else neg(mul(*variables)))
        return add(*terms)

    def angle(self):
        """What may stand in a sine."""
        x = self.name()
        return self.pick(x, x, x, mul(num(2), x), mul(num(3), x), div(x, num(2)), add(x, num(1)), mul(num(5), x))

    def mutate(self, tree):
        """The tree with one number, sign or function changed."""
        places = [path for path, node in walk(tree) if self.alternatives(node)]
        if not places:
            return None
        path = self.rng.choice(places)
        return replace(tree, path, lambda node: self.rng.choice(self.alternatives(node)))

    def alternatives(self, node):
        head = node[0]
        if head == "num" and node[1].denominator == 1 and abs(node[1]) > 0:
            return [num(c) for c in (node[1] + 1, node[1] - 1) if c not in (0, 1, -1)] + ([num(2)] if node[1] == 1 else [])
        if head == "num" and node[1]:
            return [num(node[1] * 2), num(node[1] + 1)]
        if head == "add":
            at = self.rng.randrange(1, len(node))
            return [("add", *(neg(t) if k == at else t for k, t in enumerate(node[1:], 1)))]
        if head == "mul" and node[1][0] == "num":
            return [("mul", num(-node[1][1]), *node[2:])]
        swaps = {"sin": "cos", "cos": "sin", "tan": "cot", "cot": "tan", "sinh": "cosh", "cosh": "sinh"}
        if head == "fn" and node[1] in swaps:
            return [fn(swaps[node[1]], node[2])]
        return []


class Polynomial:
    def __init__(self, maker, constants, factors, names):
        self.maker, self.factors, self.names = maker, factors, names
        self.constant = Q(constants[0])
        self.whole = {(0,) * len(names): self.constant}
        for f, k in factors:
            self.whole = poly_mul(self.whole, poly_power(f, k))

    def expanded(self, sign=1):
        return self.maker.tree({e: sign * c for e, c in self.whole.items()}, self.names)

    def factored(self, sign=1):
        parts = [power(self.maker.tree(f, self.names), k) for f, k in self.factors]
        c = sign * self.constant
        return mul(num(c), *parts) if c != -1 or len(parts) == 1 and parts[0][0] == "pow" else neg(mul(*parts))

    def form(self, sign=1):
        if len(self.factors) > 1 and self.maker.chance(0.4):
            return self.factored(sign)
        return self.expanded(sign)

    def minus(self):
        """-p, as -(...) or with every sign turned."""
        return neg(self.form()) if self.maker.chance(0.4) else self.form(-1)

    def either(self):
        return self.form() if self.maker.chance(0.5) else self.minus()


def walk(tree, path=()):
    yield path, tree
    for at, child in enumerate(tree[1:], 1):
        # Not the degree of a root, and not the exponent of a power.
        if isinstance(child, tuple) and not (tree[0] == "pow" and at == 2 and child[0] == "num"):
            yield from walk(child, (*path, at))


def replace(tree, path, change):
    if not path:
        return change(tree)
    at = path[0]
    return (*tree[:at], replace(tree[at], path[1:], change), *tree[at + 1 :])


TEMPLATES = []


def template(group, name, truth, weight=1.0, connected=False, trusted=False):
    """`connected`: the domain is an interval, or symmetric with one on each side of zero."""

    def keep(make):
        TEMPLATES.append((group, name, truth, weight, connected, trusted, make))
        return make

    return keep


# Absolute values and their kin.


@template("piecewise", "|p| and p", False, 8)
def _(m):
    p = m.changing()
    return absolute(p.either()), p.either()


@template("piecewise", "|p|+|q| and a branch", False, 3)
def _(m):
    p, q = m.polynomial(m.pick(1, 1, 2)), m.polynomial(m.pick(1, 1, 2))
    q.names = p.names
    left = add(absolute(p.form()), absolute(q.form()))
    return m.pick(
        (left, add(p.either(), q.either())),
        (left, absolute(m.tree(poly_add(p.whole, q.whole), p.names))),
        (sub(absolute(p.form()), absolute(q.form())), absolute(m.tree(poly_add(p.whole, q.whole, -1), p.names))),
        (left, sub(absolute(p.form()), absolute(q.form()))),
    )


@template("piecewise", "max and min", False, 1)
def _(m):
    p = m.pick(m.polynomial, m.two)()
    q = m.polynomial(m.pick(1, 2))
    q.names = p.names[:1]
    sides = (p.form(), q.form() if m.chance(0.6) else num(m.where()))
    head = m.pick("max", "min")
    other = m.pick(sides[0], sides[1], ("min" if head == "max" else "max", *sides), absolute(sub(*sides)))
    return (head, *sides), other


@template("piecewise", "max and min by an absolute value", True, 0.25)
def _(m):
    p, q = m.polynomial(m.pick(1, 2)), m.polynomial(1)
    q.names = p.names
    a, b = p.form(), q.form()
    head = m.pick("max", "min")
    gap = absolute(m.tree(poly_add(p.whole, q.whole, -1), p.names))
    total = m.tree(poly_add(p.whole, q.whole), p.names)
    return m.pick(
        ((head, a, b), div(add(total, gap if head == "max" else neg(gap)), num(2))),
        ((head, a, b), (head, q.form(), p.form())),
        (sub(("max", a, b), ("min", a, b)), gap),
        (add(("max", a, b), ("min", a, b)), total),
        (("max", a, p.minus()), absolute(p.form())),
    )


@template("piecewise", "max and min near misses", False, 0.5)
def _(m):
    p, q = m.polynomial(m.pick(1, 2)), m.polynomial(1)
    q.names = p.names
    gap = absolute(m.tree(poly_add(p.whole, q.whole, -1), p.names))
    total = m.tree(poly_add(p.whole, q.whole), p.names)
    head = m.pick("max", "min")
    right = m.mutate(div(add(total, gap if head == "max" else neg(gap)), num(2)))
    return (head, p.form(), q.form()), right


@template("piecewise", "floor and ceiling", False, 1.5)
def _(m):
    x, k = m.name(), num(m.small())
    down, up = ("floor", x), ("ceil", x)
    double = mul(num(2), x)
    return m.pick(
        (down, x),
        (down, sub(x, num(1))),
        (up, x),
        (up, add(x, num(1))),
        (down, sub(up, num(1))),
        (("floor", double), mul(num(2), down)),
        (("ceil", double), mul(num(2), up)),
        (("floor", mul(k, x)), mul(k, x)),
        (("floor", div(x, k)), div(x, k)),
        (("floor", add(x, k)), add(x, k)),
        (("floor", add(x, k)), sub(down, k)),
        (("floor", add(x, num(Q(1, 2)))), down),
        (("floor", add(x, num(Q(1, 2)))), ("ceil", sub(x, num(Q(1, 2))))),
        (("floor", neg(x)), neg(down)),
        (("floor", power(x, 2)), power(down, 2)),
        (("floor", absolute(x)), absolute(down)),
        (add(down, up), double),
        (down, up),
    )


@template("piecewise", "floor and ceiling moved", True, 0.5)
def _(m):
    x, k = m.name(), m.signed(300)
    c = num(m.small(2))
    u = m.pick(x, mul(c, x), div(x, c), add(power(x, 2), x), mul(c, power(x, 2)))
    head = m.pick("floor", "ceil")
    other = "ceil" if head == "floor" else "floor"
    return m.pick(
        ((head, add(u, num(k))), add((head, u), num(k))),
        ((head, neg(u)), neg((other, u))),
        ((head, sub(num(k), u)), sub(num(k), (other, u))),
    )


@template("piecewise", "||x|-a|", False, 2)
def _(m):
    x, a = m.name(), num(m.size())
    inner = sub(absolute(x), a) if m.chance(0.8) else sub(a, absolute(x))
    return absolute(inner), m.pick(
        sub(absolute(x), a), sub(a, absolute(x)), absolute(sub(x, a)), absolute(add(x, a)), add(absolute(x), a), sub(x, a)
    )


@template("piecewise", "bars in bars", True, 1)
def _(m):
    p, a = m.polynomial(m.pick(1, 2)), num(m.size())
    return m.pick(
        (absolute(add(absolute(p.form()), a)), add(absolute(p.either()), a)),
        (absolute(sub(absolute(p.form()), a)), absolute(sub(a, absolute(p.either())))),
        (absolute(absolute(p.form())), absolute(p.either())),
        (absolute(neg(absolute(p.form()))), absolute(p.either())),
    )


@template("piecewise", "signs", False, 1.5)
def _(m):
    p = m.polynomial(m.pick(1, 1, 2))
    u = p.form()
    return m.pick(
        (div(u, absolute(u)), num(m.pick(1, -1))),
        (div(absolute(u), u), num(m.pick(1, -1))),
        (mul(u, absolute(u)), power(u, 2)),
        (power(absolute(u), 3), power(u, 3)),
        (mul(u, absolute(u)), neg(power(u, 2))),
        (div(power(u, 2), absolute(u)), u),
    )


@template("piecewise", "sgn", False, 0.5)
def _(m):
    u = m.polynomial(m.pick(1, 2)).form()
    return fn("sgn", u), m.pick(num(1), num(-1), u, absolute(u), div(u, num(2)))


@template("piecewise", "other absolute values", False, 3)
def _(m):
    p, c = m.changing(), num(m.size())
    x = var(p.names[0])
    u, k = p.form(), num(m.small(2))
    return m.pick(
        (absolute(u), absolute(add(u, c))),
        (absolute(u), add(absolute(u), c)),
        (absolute(mul(k, u)), absolute(u)),
        (absolute(sub(x, c)), absolute(add(x, c))),
        (absolute(sub(x, c)), sub(absolute(x), c)),
        (absolute(sub(x, c)), add(absolute(x), c)),
        (mul(absolute(x), absolute(sub(x, c))), mul(x, absolute(sub(x, c)))),
        (absolute(mul(x, sub(x, c))), mul(absolute(x), sub(x, c))),
    )


@template("piecewise", "|p| = |-p|", True, 2)
def _(m):
    p = m.changing()
    return absolute(p.either()), absolute(p.either())


@template("piecewise", "products and quotients in bars", True, 1.5)
def _(m):
    p, q = m.polynomial(m.pick(1, 2)), m.polynomial(1)
    q.names = p.names
    product = Polynomial(m, [p.constant * q.constant], p.factors + q.factors, p.names)
    k = m.small(2, 12)
    return m.pick(
        (mul(absolute(p.form()), absolute(q.form())), absolute(product.form())),
        (div(absolute(p.form()), absolute(q.form())), absolute(div(p.form(), q.form()))),
        (mul(num(k), absolute(p.form())), absolute(m.tree({e: c * k for e, c in p.whole.items()}, p.names))),
        (add(absolute(p.form()), absolute(p.form(-1))), mul(num(2), absolute(p.form()))),
    )


@template("piecewise", "even powers of bars", True, 1)
def _(m):
    p = m.polynomial(m.pick(1, 1, 2)) if m.chance(0.7) else m.two()
    k = m.pick(2, 2, 4)
    u = p.form()
    return m.pick(
        (power(absolute(u), 2), power(p.either(), 2)),
        (power(absolute(u), k), power(p.form(), k)),
        (power(absolute(u), 3), mul(power(u, 2), absolute(p.either()))),
        (mul(absolute(u), absolute(u)), m.tree(poly_mul(p.whole, p.whole), p.names)),
        (absolute(power(u, k)), power(p.form(), k)),
        (div(u, absolute(u)), div(absolute(u), u)),
    )


@template("piecewise", "|p| = p, never below zero", True, 1.5)
def _(m):
    p = m.positive()
    return absolute(p.either()), p.form()


@template("piecewise", "sums of bars turned", True, 1)
def _(m):
    p, q = m.polynomial(m.pick(1, 2)), m.polynomial(m.pick(1, 2))
    q.names = p.names
    return add(absolute(p.form()), absolute(q.either())), add(absolute(q.either()), absolute(p.either()))


# Roots.


def square(m, p):
    """p^2, as a power or written out."""
    return power(p.form(), 2) if m.chance(0.4) else m.tree(poly_mul(p.whole, p.whole), p.names)


@template("roots", "root of a square, and its inside", False, 5)
def _(m):
    p = m.pick(m.polynomial, m.irrational, m.two)() if m.chance(0.5) else m.polynomial(1)
    return root(square(m, p)), p.either()


@template("roots", "root of a square = |p|", True, 3)
def _(m):
    p = m.pick(m.polynomial, m.two)() if m.chance(0.5) else m.polynomial(1)
    return root(square(m, p)), absolute(p.either())


@template("roots", "root of the square of what is never below zero", True, 1)
def _(m):
    p = m.positive()
    return root(square(m, p)), p.form()


@template("roots", "even roots", False, 2)
def _(m):
    p = m.polynomial(m.pick(1, 1, 2))
    u, n = p.form(), m.pick(4, 4, 6)
    return m.pick(
        (root(power(u, n), n), p.either()),
        (root(power(u, 6)), power(u, 3)),
        (root(power(u, 2), 2), neg(absolute(u))),
        (power(power(u, 2), Q(1, 2)), p.either()),
        (power(power(u, 4), Q(1, 4)), p.either()),
        (mul(u, root(power(u, 2))), power(u, 2)),
    )


@template("roots", "even roots = bars", True, 1.5)
def _(m):
    p = m.polynomial(m.pick(1, 1, 2))
    u, n = p.form(), m.pick(4, 4, 6)
    return m.pick(
        (root(power(u, n), n), absolute(p.either())),
        (root(power(u, 6)), power(absolute(u), 3)),
        (root(power(u, 4)), power(p.either(), 2)),
        (root(power(u, 2), 4), root(absolute(u))),
        (power(power(u, 2), Q(1, 2)), absolute(p.either())),
        (root(absolute(power(u, 2))), absolute(u)),
    )


@template("roots", "odd roots", True, 1.5)
def _(m):
    p = m.polynomial(m.pick(1, 1, 2))
    u, k = p.form(), m.small(2, 5)
    n = m.pick(3, 3, 5)
    return m.pick(
        (root(power(u, n), n), p.form()),
        (root(neg(power(u, 3)), 3), p.minus()),
        (root(power(u, 6), 3), power(p.form(), 2)),
        (root(mul(num(k**3), power(u, 3)), 3), mul(num(k), p.form())),
        (root(neg(u), 3), neg(root(p.form(), 3))),
        (root(mul(num(k**3), u), 3), mul(num(k), root(p.form(), 3))),
    )


@template("roots", "odd roots, wrong", False, 2)
def _(m):
    p = m.polynomial(m.pick(1, 1, 2))
    u, k = p.form(), m.small(2, 5)
    n = m.pick(3, 3, 5)
    return m.pick(
        (root(power(u, n), n), absolute(p.form())),
        (root(power(u, n), n), p.minus()),
        (root(power(u, 6), 3), mul(u, absolute(u))),
        (root(mul(num(k**3), u), 3), mul(num(k**2), root(u, 3))),
        (root(add(power(u, 3), num(k**3)), 3), add(u, num(k))),
        (root(neg(u), 3), root(u, 3)),
        (root(power(u, 2), 3), root(u, 3)),
    )


@template("roots", "factors out of a root", True, 1.5)
def _(m):
    x, k = m.name(), m.small(2, 12)
    p, c = m.polynomial(1), num(m.size())
    y = add(var(p.names[0]), c)
    return m.pick(
        (root(mul(power(p.form(), 2), y)), mul(absolute(p.form()), root(y))),
        (root(mul(num(k * k), x)), mul(num(k), root(x))),
        (root(div(x, num(k * k))), div(root(x), num(k))),
        (root(power(x, 3)), mul(x, root(x))),
        (root(power(x, 3)), mul(absolute(x), root(x))),
        (root(power(x, 5)), mul(power(x, 2), root(x))),
        (mul(x, root(x)), power(x, Q(3, 2))),
        (root(y), power(y, Q(1, 2))),
        (div(num(k), root(x)), div(mul(num(k), root(x)), x)),
        (div(num(k), root(x)), mul(num(k), power(x, Q(-1, 2)))),
        (root(mul(num(k), power(x, 2))), mul(absolute(x), root(num(k)))),
    )


@template("roots", "factors out of a root, wrong", False, 2.5)
def _(m):
    x, k = m.name(), m.small(2, 12)
    p, c = m.polynomial(1), m.small(1, 9)
    y = add(var(p.names[0]), num(m.size() + 1))
    return m.pick(
        (root(mul(power(p.form(), 2), y)), mul(p.either(), root(y))),
        (root(mul(num(k), power(x, 2))), mul(x, root(num(k)))),
        (root(mul(num(k * k), x)), mul(num(k * k), root(x))),
        (root(add(x, num(k * k))), add(root(x), num(k))),
        (root(add(power(x, 2), num(c * c))), add(m.pick(x, absolute(x)), num(c))),
        (root(power(x, 3)), mul(power(x, 2), root(x))),
        (mul(x, root(x)), power(x, Q(2, 3))),
        (div(num(k), root(x)), mul(num(k), root(x))),
        (root(y), m.mutate(root(y))),
    )


@template("roots", "fractions made rational", True, 1)
def _(m):
    x, k = m.name(), num(m.small(1, 12))
    a, b = sorted(m.rng.sample([2, 3, 5, 6, 7, 10, 11, 13, 14, 15], 2))
    c = m.small(1, 9)
    return m.pick(
        (div(num(1), add(root(add(x, k)), root(x))), div(sub(root(add(x, k)), root(x)), k)),
        (div(sub(x, k), add(root(x), root(k))), sub(root(x), root(k))),
        (div(num(c), sub(root(num(b)), root(num(a)))), div(mul(num(c), add(root(num(b)), root(num(a)))), num(b - a))),
        (div(num(c), add(root(num(b)), root(num(a)))), mul(num(Q(c, b - a)), sub(root(num(b)), root(num(a))))),
        (div(num(c), root(num(b))), div(mul(num(c), root(num(b))), num(b))),
        (div(num(c), root(num(a), 3)), div(mul(num(c), root(num(a * a), 3)), num(a))),
        (div(num(c), add(num(c + 4), root(num(a)))), div(mul(num(c), sub(num(c + 4), root(num(a)))), num((c + 4) ** 2 - a))),
    )


@template("roots", "numbers", True, 2)
def _(m):
    a, b = m.rng.sample([2, 3, 5, 6, 7, 10, 11, 13, 15, 17], 2)
    j, k = m.small(2, 9), m.small(2, 9)
    return m.pick(
        (mul(root(num(a)), root(num(b))), root(num(a * b))),
        (root(num(a * k * k)), mul(num(k), root(num(a)))),
        (add(root(num(a * k * k)), root(num(a * j * j))), mul(num(j + k), root(num(a)))),
        (root(num(a * k**3), 3), mul(num(k), root(num(a), 3))),
        (div(root(num(a)), root(num(b))), div(root(num(a * b)), num(b))),
        (power(add(num(k), root(num(a))), 2), add(num(k * k + a), mul(num(2 * k), root(num(a))))),
        (mul(add(num(k), root(num(a))), sub(num(k), root(num(a)))), num(k * k - a)),
        (root(num(Q(a, b))), div(root(num(a * b)), num(b))),
        (power(num(a), Q(3, 2)), mul(num(a), root(num(a)))),
        (root(root(num(a))), root(num(a), 4)),
    )


def nested(m):
    """sqrt(a + b + 2 sqrt(ab)) and what it is."""
    b, a = sorted(m.rng.sample(range(1, 24), 2))
    sign, k = m.pick(1, -1), m.pick(1, 1, 2, 3)
    part = lambda n: num(int(n**0.5)) if int(n**0.5) ** 2 == n else root(num(n))
    inside = add(num(k * k * (a + b)), mul(num(sign * 2 * k * k), root(num(a * b))))
    if int((a * b) ** 0.5) ** 2 == a * b:
        return nested(m)
    if m.chance(0.4):
        inside = add(num(k * k * (a + b)), (neg if sign < 0 else add)(root(num(4 * k**4 * a * b))))
    times = lambda t: t if k == 1 else mul(num(k), t)
    return root(inside), add(times(part(a)), neg(times(part(b))) if sign < 0 else times(part(b)))


@template("roots", "nested numbers", True, 1.5)
def _(m):
    return nested(m)


@template("roots", "nested numbers, wrong", False, 2)
def _(m):
    a, b = nested(m)
    return (m.mutate(a), b) if m.chance(0.5) else (a, m.mutate(b))


def cubes(m):
    """The cube root of (a + q sqrt(b))^3."""
    a, q, b = m.signed(4), m.small(1, 3), m.pick(2, 3, 5, 6, 7)
    real, other = a**3 + 3 * a * q * q * b, 3 * a * a * q + q**3 * b
    with_sign = lambda s: root(add(num(real), mul(num(s * other), root(num(b)))), 3)
    single = (with_sign(1), add(num(a), mul(num(q), root(num(b)))))
    return single if m.chance(0.5) else (add(with_sign(1), with_sign(-1)), num(2 * a))


@template("roots", "cube roots of numbers", True, 0.7)
def _(m):
    return cubes(m)


@template("roots", "cube roots of numbers, wrong", False, 0.7)
def _(m):
    a, b = cubes(m)
    return (m.mutate(a), b) if m.chance(0.5) else (a, m.mutate(b))


@template("roots", "numbers close by", False, 1.5)
def _(m):
    a, b = m.rng.sample([2, 3, 5, 6, 7, 10, 11, 13, 15, 17], 2)
    k = m.small(2, 9)
    close = Q(str(mp.nstr(mp.sqrt(a), m.small(5, 14))))
    return m.pick(
        (root(num(a)), num(close)),
        (root(num(a)), num(Q(str(mp.nstr(mp.sqrt(a), 20))).limit_denominator(10 ** m.small(2, 6)))),
        (add(root(num(a)), root(num(b))), root(num(a + b))),
        (root(num(a * k * k)), mul(num(k + 1), root(num(a)))),
        (mul(root(num(a)), root(num(b))), root(num(a * b + 1))),
        (div(num(1), root(num(a))), div(root(num(a)), num(a + 1))),
        (sub(root(num(10**8 + a)), num(10**4)), num(Q(a, 2 * 10**4))),
    )


# Trigonometry.

S, C, T = (lambda u: fn("sin", u)), (lambda u: fn("cos", u)), (lambda u: fn("tan", u))


def times(k, u):
    return mul(num(k), u)


def identity(m):
    u, k = m.angle(), m.small(2, 5)
    x, y = (var(name) for name in m.names(2))
    z = m.name()
    a, b = sorted(m.rng.sample(range(1, 8), 2), reverse=True)
    half = num(Q(1, 2))
    double = lambda t: t[1] if t == div(t[1], num(2)) else times(2, t)
    d = double(u)
    s, c = S(u), C(u)
    mean, gap = num(Q(a + b, 2)), num(Q(a - b, 2))
    shown = lambda q: mul(q, z) if q[1].denominator == 1 else div(mul(num(q[1].numerator), z), num(2))
    return m.pick(
        (S(d), mul(num(2), s, c)),
        (C(d), sub(num(1), times(2, power(s, 2)))),
        (C(d), sub(times(2, power(c, 2)), num(1))),
        (C(d), sub(power(c, 2), power(s, 2))),
        (power(s, 2), div(sub(num(1), C(d)), num(2))),
        (power(c, 2), div(add(num(1), C(d)), num(2))),
        (power(s, 2), sub(num(1), power(c, 2))),
        (S(times(3, z)), sub(times(3, S(z)), times(4, power(S(z), 3)))),
        (C(times(3, z)), sub(times(4, power(C(z), 3)), times(3, C(z)))),
        (C(times(4, z)), add(times(8, power(C(z), 4)), times(-8, power(C(z), 2)), num(1))),
        (add(S(times(a, z)), S(times(b, z))), mul(num(2), S(shown(mean)), C(shown(gap)))),
        (sub(C(times(a, z)), C(times(b, z))), mul(num(-2), S(shown(mean)), S(shown(gap)))),
        (mul(S(times(a, z)), C(times(b, z))), div(add(S(times(a + b, z)), S(times(a - b, z))), num(2))),
        (mul(S(times(a, z)), S(times(b, z))), mul(half, sub(C(times(a - b, z)), C(times(a + b, z))))),
        (S(add(x, y)), add(mul(S(x), C(y)), mul(C(x), S(y)))),
        (C(sub(x, y)), add(mul(C(x), C(y)), mul(S(x), S(y)))),
        (mul(S(add(x, y)), S(sub(x, y))), sub(power(S(x), 2), power(S(y), 2))),
        (mul(C(add(x, y)), C(sub(x, y))), sub(power(C(x), 2), power(S(y), 2))),
        (T(u), div(s, c)),
        (add(num(1), power(T(u), 2)), div(num(1), power(c, 2))),
        (add(num(1), power(T(u), 2)), power(fn("sec", u), 2)),
        (add(num(1), power(fn("cot", u), 2)), power(fn("csc", u), 2)),
        (sub(power(s, 4), power(c, 4)), neg(C(d))),
        (add(power(s, 4), power(c, 4)), sub(num(1), mul(num(2), power(s, 2), power(c, 2)))),
        (add(power(s, 4), power(c, 4)), sub(num(1), div(power(S(d), 2), num(2)))),
        (add(power(s, 6), power(c, 6)), sub(num(1), mul(num(3), power(s, 2), power(c, 2)))),
        (power(add(s, c), 2), add(num(1), S(d))),
        (times(k, power(sub(s, c), 2)), sub(num(k), times(k, S(d)))),
        (S(add(z, div(PI, num(4)))), mul(div(root(num(2)), num(2)), add(S(z), C(z)))),
        (mul(num(2), S(add(z, div(PI, num(6))))), add(mul(root(num(3)), S(z)), C(z))),
        (C(add(z, div(PI, num(3)))), sub(div(C(z), num(2)), div(mul(root(num(3)), S(z)), num(2)))),
        (S(sub(div(PI, num(2)), u)), c),
        (C(sub(PI, u)), neg(c)),
        (S(add(z, times(2 * k, PI))), S(z)),
        (T(add(z, PI)), T(z)),
        (add(T(u), fn("cot", u)), div(num(2), S(d))),
        (div(num(k), mul(s, c)), times(2 * k, fn("csc", d))),
        (mul(s, c, C(d)), div(S(double(d)), num(4))),
        (div(S(d), add(num(1), C(d))), T(u)),
        (sub(power(fn("cosh", z), 2), power(fn("sinh", z), 2)), num(1)),
        (fn("sinh", times(2, z)), mul(num(2), fn("sinh", z), fn("cosh", z))),
        (fn("cosh", times(2, z)), add(times(2, power(fn("sinh", z), 2)), num(1))),
        (fn("tanh", z), div(sub(exp(times(2, z)), num(1)), add(exp(times(2, z)), num(1)))),
        (times(k, fn("sinh", z)), div(times(k, sub(exp(z), exp(neg(z)))), num(2))),
    )


@template("trigonometry", "identities", True, 5)
def _(m):
    return identity(m)


@template("trigonometry", "identities, broken", False, 5)
def _(m):
    a, b = identity(m)
    return (m.mutate(a), b) if m.chance(0.4) else (a, m.mutate(b))


@template("trigonometry", "roots and bars", False, 2.5)
def _(m):
    u = m.angle()
    s, c = S(u), C(u)
    x = m.name()
    h = div(x, num(2))
    k = num(m.small(2, 9))
    return m.pick(
        (absolute(s), m.pick(s, neg(s))),
        (absolute(c), m.pick(c, neg(c))),
        (root(sub(num(1), power(c, 2))), m.pick(s, neg(s))),
        (root(sub(num(1), power(s, 2))), m.pick(c, neg(c))),
        (mul(k, root(power(s, 2))), mul(k, s)),
        (root(add(num(1), power(T(u), 2))), fn("sec", u)),
        (root(div(sub(num(1), C(x)), num(2))), m.pick(S(h), neg(S(h)))),
        (root(add(num(2), times(2, C(x)))), times(2, C(h))),
        (S(absolute(x)), m.pick(S(x), absolute(S(x)))),
        (absolute(add(s, c)), add(absolute(s), absolute(c))),
        (absolute(add(s, c)), add(s, c)),
    )


@template("trigonometry", "roots = bars", True, 1.5)
def _(m):
    u = m.angle()
    s, c = S(u), C(u)
    x = m.name()
    h, k = div(x, num(2)), num(m.small(2, 9))
    return m.pick(
        (root(sub(num(1), power(c, 2))), absolute(s)),
        (mul(k, root(sub(num(1), power(s, 2)))), mul(k, absolute(c))),
        (root(add(num(1), power(T(u), 2))), absolute(fn("sec", u))),
        (root(add(num(1), power(T(u), 2))), div(num(1), absolute(c))),
        (root(div(sub(num(1), C(x)), num(2))), absolute(S(h))),
        (root(add(num(2), times(2, C(x)))), times(2, absolute(C(h)))),
        (mul(k, absolute(s), absolute(c)), div(mul(k, absolute(S(times(2, u)))), num(2))),
        (power(absolute(s), 2), sub(num(1), power(c, 2))),
    )


def arcs(m):
    """What may stand in an arcsine."""
    x = m.name()
    k = m.small(2, 9)
    return m.pick(x, x, times(k, x), div(x, num(k)), sub(x, num(k)))


@template("trigonometry", "inverse functions, wrong", False, 3.5)
def _(m):
    x = m.name()
    k, l = m.small(2, 9), num(m.small(1, 9))
    u = m.pick(x, x, times(k, x), add(x, l))
    v = arcs(m)
    asin, acos, atan = (lambda t: fn("arcsin", t)), (lambda t: fn("arccos", t)), (lambda t: fn("arctan", t))
    one = num(1)
    return m.pick(
        (atan(T(u)), u),
        (asin(S(u)), u),
        (acos(C(u)), u),
        (acos(C(u)), absolute(u)),
        (asin(C(u)), sub(div(PI, num(2)), u)),
        (C(acos(v)), neg(v)),
        (S(acos(v)), m.pick(v, neg(root(sub(one, power(v, 2)))), root(add(one, power(v, 2))))),
        (C(acos(v)), power(v, 2)),
        (acos(neg(v)), m.pick(neg(acos(v)), acos(v), add(PI, acos(v)))),
        (asin(neg(v)), asin(v)),
        (add(asin(v), acos(v)), m.pick(num(0), PI, div(PI, num(4)))),
        (add(atan(x), atan(div(one, x))), m.pick(div(PI, num(2)), div(PI, num(-2)))),
        (acos(sub(times(2, power(x, 2)), one)), times(2, acos(x))),
        (asin(mul(num(2), x, root(sub(one, power(x, 2))))), times(2, asin(x))),
        (atan(div(times(2, x), sub(one, power(x, 2)))), times(2, atan(x))),
        (asin(root(sub(one, power(x, 2)))), acos(x)),
        (acos(root(sub(one, power(x, 2)))), asin(x)),
        (C(atan(v)), div(one, root(sub(one, power(v, 2))))),
        (C(atan(v)), div(v, root(add(one, power(v, 2))))),
        (S(times(2, atan(v))), div(times(2, v), sub(num(1), power(v, 2)))),
        (asin(absolute(x)), asin(x)),
        (atan(div(num(k), x)), sub(div(PI, num(2)), atan(div(x, num(k))))),
        (atan(root(power(x, 2))), atan(x)),
    )


@template("trigonometry", "inverse functions", True, 2, connected=True)
def _(m):
    x, v = m.name(), arcs(m)
    asin, acos, atan = (lambda t: fn("arcsin", t)), (lambda t: fn("arccos", t)), (lambda t: fn("arctan", t))
    one, k = num(1), m.small(2, 9)
    return m.pick(
        (S(acos(v)), root(sub(one, power(v, 2)))),
        (C(asin(v)), root(sub(one, power(v, 2)))),
        (T(atan(v)), v),
        (times(k, C(atan(v))), div(num(k), root(add(one, power(v, 2))))),
        (S(atan(v)), div(v, root(add(one, power(v, 2))))),
        (S(times(2, atan(v))), div(times(2, v), add(one, power(v, 2)))),
        (C(times(2, acos(x))), C(times(2, neg(acos(x))))),
        (acos(neg(x)), sub(PI, acos(x))),
        (asin(neg(v)), neg(asin(v))),
        (atan(neg(v)), neg(atan(v))),
        (asin(v), sub(div(PI, num(2)), acos(v))),
        (acos(sub(times(2, power(x, 2)), one)), times(2, acos(absolute(x)))),
        (asin(absolute(x)), absolute(asin(x))),
        (atan(absolute(x)), absolute(atan(x))),
        (acos(root(sub(one, power(x, 2)))), absolute(asin(x))),
    )


def angles(m):
    """Numbers: known values, and sums of arctangents."""
    p = lambda a, b: div(PI if a == 1 else times(a, PI), num(b))
    r = lambda n: root(num(n))
    k = m.small(2, 6)
    at = lambda q: fn("arctan", num(q))
    known = [
        (S(deg(18)), div(sub(r(5), num(1)), num(4))),
        (C(deg(36)), div(add(num(1), r(5)), num(4))),
        (C(p(1, 5)), div(add(r(5), num(1)), num(4))),
        (S(p(1, 10)), div(add(num(-1), r(5)), num(4))),
        (C(p(2, 5)), div(sub(r(5), num(1)), num(4))),
        (S(deg(15)), div(sub(r(6), r(2)), num(4))),
        (C(deg(15)), div(add(r(6), r(2)), num(4))),
        (S(deg(75)), div(mul(r(2), add(r(3), num(1))), num(4))),
        (C(p(5, 12)), div(sub(r(6), r(2)), num(4))),
        (T(deg(15)), sub(num(2), r(3))),
        (T(p(5, 12)), add(num(2), r(3))),
        (T(deg(22.5)), sub(r(2), num(1))),
        (T(p(3, 8)), add(r(2), num(1))),
        (S(p(1, 8)), div(root(sub(num(2), r(2))), num(2))),
        (C(p(1, 8)), div(root(add(num(2), r(2))), num(2))),
        (S(deg(72)), div(root(add(num(10), times(2, r(5)))), num(4))),
        (S(deg(36)), div(root(sub(num(10), times(2, r(5)))), num(4))),
        (mul(C(deg(20)), C(deg(40)), C(deg(80))), num(Q(1, 8))),
        (mul(S(deg(10)), S(deg(50)), S(deg(70))), num(Q(1, 8))),
        (mul(S(deg(20)), S(deg(40)), S(deg(80))), div(r(3), num(8))),
        (mul(C(p(1, 7)), C(p(2, 7)), C(p(3, 7))), num(Q(1, 8))),
        (add(C(p(1, 7)), neg(C(p(2, 7))), C(p(3, 7))), num(Q(1, 2))),
        (add(C(p(2, 5)), C(p(4, 5))), num(Q(-1, 2))),
        (mul(C(p(1, 5)), C(p(2, 5))), num(Q(1, 4))),
        (add(C(deg(40)), C(deg(80)), C(deg(160))), num(0)),
        (add(S(deg(50)), neg(S(deg(70))), S(deg(10))), num(0)),
        (sub(times(4, power(C(deg(10)), 3)), times(3, C(deg(10)))), div(r(3), num(2))),
        (sub(div(num(1), S(deg(10))), div(r(3), C(deg(10)))), num(4)),
    ]
    a, b = known[m.rng.randrange(len(known))]
    if m.chance(0.5):
        if m.chance(0.4):
            return a, b
        return (add(a, num(k)), add(b, num(k))) if a[0] == "add" else (times(k, a), times(k, b))
    n, j = m.small(1, 9), m.small(2, 12)
    u, v = Q(m.small(1, 6), m.small(2, 9)), Q(m.small(1, 6), m.small(2, 9))
    if u * v == 1:
        total = p(1, 2)
    else:
        total = at((u + v) / (1 - u * v)) if u * v < 1 else sub(PI, at((u + v) / (u * v - 1)))
    return m.pick(
        (add(at(Q(n, n + j)), at(Q(j, 2 * n + j))), p(1, 4)),
        (add(times(4, at(Q(1, 5))), neg(at(Q(1, 239)))), p(1, 4)),
        (add(times(2, at(Q(1, 3))), at(Q(1, 7))), p(1, 4)),
        (add(at(1), at(2), at(3)), PI),
        (add(at(u), at(v)), total),
        (sub(at(Q(j)), at(Q(1, j))), sub(times(2, at(Q(j))), p(1, 2))),
        (S(at(Q(n, j))), div(num(n), root(num(n * n + j * j)))),
        (C(times(2, at(Q(n, j)))), num(Q(j * j - n * n, j * j + n * n))),
        (T(times(2, at(Q(1, j)))), num(Q(2 * j, j * j - 1))),
    )


@template("trigonometry", "numbers", True, 2)
def _(m):
    return angles(m)


@template("trigonometry", "numbers, wrong", False, 3)
def _(m):
    a, b = angles(m)
    if m.chance(0.15):
        u, v = Q(m.small(4, 30), m.small(1, 3)), Q(m.small(4, 30), m.small(1, 3))
        # Off by pi.
        return add(fn("arctan", num(u)), fn("arctan", num(v))), fn("arctan", num((u + v) / (1 - u * v)))
    return (m.mutate(a), b) if m.chance(0.4) else (a, m.mutate(b))


# Rational functions, logarithms and exponentials.


def arranged(m):
    """A polynomial in one to three variables, in two forms."""
    n = m.pick(1, 1, 2, 2, 3)
    names = m.names(n)
    unit = lambda k: tuple(int(k == j) for j in range(n))
    zero = (0,) * n
    factors = []
    for _ in range(m.pick(2, 2, 3)):
        f = {unit(k): Q(m.signed(5)) for k in m.rng.sample(range(n), m.small(1, n))}
        f = poly_add(f, {zero: Q(m.signed(9))} if n == 1 or m.chance(0.5) else {})
        if m.chance(0.2):
            f = {tuple(2 * e for e in exponents): c for exponents, c in f.items()}
        if len(f) > 1:
            factors.append((f, m.pick(1, 1, 1, 2)))
    if not factors:
        return arranged(m)
    extra = {zero: Q(m.signed(9))}
    p = Polynomial(m, [m.pick(1, 1, 2, 3, Q(1, 2))], factors, names)
    if m.chance(0.3):
        return add(p.factored(), num(extra[zero])), m.tree(poly_add(p.whole, extra), names)
    return p.factored(), p.expanded()


def fraction_pair(m):
    """A sum of fractions, and over a common denominator."""
    name = m.names(1)
    x = var(name[0])
    r, s = m.rng.sample([k for k in range(-9, 10)], 2)
    a, b = m.signed(9), m.signed(9)
    below, other = {(1,): Q(1), (0,): Q(-r)}, {(1,): Q(1), (0,): Q(-s)}
    below, other = ({e: c for e, c in f.items() if c} for f in (below, other))
    tree = lambda p: m.tree(p, name)
    above = poly_add(poly_mul({(0,): Q(a)}, other), poly_mul({(0,): Q(b)}, below))
    whole = poly_mul(below, other)
    if not above or not real_roots({e[0]: c for e, c in above.items()}) and len(above) > 1:
        return fraction_pair(m)
    parts = [div(num(abs(a)), tree(below)), div(num(abs(b)), tree(other))]
    parts = [neg(part) if c < 0 else part for part, c in zip(parts, (a, b))]
    together = div(tree(above), tree(whole) if m.chance(0.5) else mul(tree(below), tree(other)))
    c = m.signed(9)
    p = poly_add(poly_mul({(1,): Q(a), (0,): Q(c)}, below), {(0,): Q(b)})
    line = tree({(1,): Q(a), (0,): Q(c)})
    return m.pick(
        (together, add(*parts)),
        (together, add(*parts)),
        (div(tree({e: k for e, k in p.items() if k}), tree(below)), add(line, parts_of(b, tree(below)))),
        (power(add(x, div(num(abs(a)), x)), 2), add(power(x, 2), num(2 * abs(a)), div(num(a * a), power(x, 2)))),
        (div(num(a), tree(below)), div(num(-a), tree({e: -k for e, k in below.items()}))),
        (div(add(x, num(a)), x), add(num(1), parts_of(a, x))),
    )


def parts_of(b, below):
    return div(num(b), below) if b > 0 else neg(div(num(-b), below))


@template("rational", "polynomials", True, 2.5)
def _(m):
    return arranged(m)


@template("rational", "polynomials, near misses", False, 3)
def _(m):
    a, b = arranged(m)
    return (m.mutate(a), b) if m.chance(0.4) else (a, m.mutate(b))


@template("rational", "fractions", True, 2.5)
def _(m):
    return fraction_pair(m)


@template("rational", "fractions, near misses", False, 3)
def _(m):
    a, b = fraction_pair(m)
    return (m.mutate(a), b) if m.chance(0.4) else (a, m.mutate(b))


def ln(u):
    return fn("ln", u)


def logarithms(m):
    p = m.polynomial(m.pick(1, 1, 1, 2))
    u, x = p.form(), m.name()
    y, z = (var(name) for name in m.names(2))
    k, j = m.small(2, 6), m.small(2, 9)
    a, b = m.rng.sample([2, 3, 5, 6, 7, 10, 12, 15], 2)
    positive = m.positive().form()
    return m.pick(
        (ln(power(u, 2)), times(2, ln(absolute(p.either())))),
        (ln(power(u, 2)), times(2, ln(absolute(p.either())))),
        (ln(power(x, 2 * k)), times(2 * k, ln(absolute(x)))),
        (ln(power(x, 3)), times(3, ln(x))),
        (ln(root(x)), div(ln(x), num(2))),
        (ln(div(num(1), x)), neg(ln(x))),
        (ln(times(a, x)), add(ln(num(a)), ln(x))),
        (ln(div(x, num(a))), sub(ln(x), ln(num(a)))),
        (ln(absolute(mul(y, z))), add(ln(absolute(y)), ln(absolute(z)))),
        (ln(absolute(div(y, z))), sub(ln(absolute(y)), ln(absolute(z)))),
        (ln(power(positive, k)), times(k, ln(positive))),
        (("log", num(a), x), div(ln(x), ln(num(a)))),
        (("log", num(a), times(a**2, x)), add(num(2), ("log", num(a), x))),
        (ln(num(a**k)), times(k, ln(num(a)))),
        (ln(num(a * b)), add(ln(num(a)), ln(num(b)))),
        (sub(ln(num(a)), ln(num(b))), ln(num(Q(a, b)))),
        (div(ln(num(a**k)), ln(num(a**j))), num(Q(k, j))),
        (ln(times(j, exp(x))), add(x, ln(num(j)))),
        (ln(exp(times(k, x))), times(k, x)),
    )


def exponentials(m):
    x = m.name()
    y, z = (var(name) for name in m.names(2))
    k, j = m.small(2, 6), m.small(2, 9)
    a = m.pick(2, 3, 5, 7)
    to = lambda base, u: ("pow", num(base), u)
    return m.pick(
        (exp(add(y, z)), mul(exp(y), exp(z))),
        (exp(sub(y, z)), div(exp(y), exp(z))),
        (power(exp(x), k), exp(times(k, x))),
        (power(add(exp(x), exp(neg(x))), 2), add(exp(times(2, x)), num(2), exp(times(-2, x)))),
        (exp(neg(times(k, x))), div(num(1), exp(times(k, x)))),
        (to(a, add(x, num(2))), times(a**2, to(a, x))),
        (to(a, sub(x, num(1))), div(to(a, x), num(a))),
        (to(a * a, x), to(a, times(2, x))),
        (to(a**3, div(x, num(3))), to(a, x)),
        (to(a, x), exp(mul(x, ln(num(a))))),
        (exp(times(k, ln(num(j)))), num(j**k)),
        (exp(add(x, ln(num(j)))), times(j, exp(x))),
        (mul(to(2, x), to(3, x)), to(6, x)),
        (to(a, neg(x)), power(to(a, x), -1)),
        (div(sub(exp(times(2, x)), num(1)), add(exp(x), num(1))), sub(exp(x), num(1))),
        (root(exp(times(2 * k, x))), exp(times(k, x))),
    )


@template("rational", "logarithms", True, 1.5)
def _(m):
    return logarithms(m)


@template("rational", "exponentials", True, 1)
def _(m):
    return exponentials(m)


@template("rational", "logarithms and exponentials, near misses", False, 3)
def _(m):
    a, b = m.pick(logarithms, exponentials)(m)
    return (m.mutate(a), b) if m.chance(0.4) else (a, m.mutate(b))


@template("rational", "false rules of logarithms and exponentials", False, 2)
def _(m):
    x = m.name()
    y, z = (var(name) for name in m.names(2))
    k, c = m.small(2, 9), num(m.size())
    p = m.polynomial(1)
    u = p.form()
    return m.pick(
        (ln(add(y, z)), m.pick(add(ln(y), ln(z)), mul(ln(y), ln(z)))),
        (power(ln(x), k), times(k, ln(x))),
        (ln(add(power(x, 2), c)), add(times(2, ln(absolute(x))), ln(c))),
        (div(ln(y), ln(z)), sub(ln(y), ln(z))),
        (absolute(ln(x)), m.pick(ln(x), neg(ln(x)), ln(absolute(x)))),
        (ln(absolute(u)), absolute(ln(absolute(u)))),
        (exp(absolute(u)), m.pick(exp(u), exp(neg(u)))),
        (exp(times(2, x)), exp(power(x, 2))),
        (exp(add(y, z)), add(exp(y), exp(z))),
        (absolute(sub(exp(x), num(k))), sub(exp(x), num(k))),
        (absolute(sub(exp(x), num(k))), sub(num(k), exp(x))),
        (root(sub(add(exp(times(2, x)), num(1)), times(2, exp(x)))), sub(exp(x), num(1))),
        (("pow", num(k), add(x, num(1))), add(("pow", num(k), x), num(1))),
        (ln(root(power(u, 2))), ln(absolute(add(u, num(1))))),
    )


@template("rational", "ln of a square below zero", False, 0.5, trusted=True)
def _(m):
    k, u = m.pick(2, 2, 4), m.polynomial(1).form() if m.chance(0.7) else m.name()
    return ln(power(u, k)), times(k, ln(u))


GROUPS = {"piecewise": 0.32, "roots": 0.26, "trigonometry": 0.22, "rational": 0.2}


def generate(count, seed):
    """`count` pairs {"kind", "reference", "prediction", "equivalent"}, and how many were dropped on the way."""
    rng = random.Random(seed)
    maker = Maker(rng)
    negatives = round(count * NEGATIVES)
    truths = [False] * negatives + [True] * (count - negatives)
    rng.shuffle(truths)
    pairs, seen, dropped, attempts = [], set(), collections.Counter(), 0
    for truth in truths:
        while True:
            attempts += 1
            if attempts > 100 * count + 1000:
                sys.exit(f"only {len(pairs)} different pairs were found; ask for fewer")
            group = rng.choices(list(GROUPS), GROUPS.values())[0]
            options = [t for t in TEMPLATES if t[0] == group and t[2] == truth]
            _, name, _, _, connected, trusted, make = rng.choices(options, [t[3] for t in options])[0]
            kind = f"{group}: {name}"
            trees = make(maker)
            if trees is None or None in trees:
                continue
            if rng.random() < 0.3:
                trees = trees[::-1]
            a, b = trees
            first, second = Writer(rng), Writer(rng)
            reference, prediction = first.text(a), second.text(b)
            if reference == prediction or (reference, prediction) in seen:
                continue
            if not trusted:
                settled = settle(a, b, truth, connected, rng)
                if settled is None or settled != truth:
                    if truth and settled is False:
                        sys.exit(f"{kind}: meant to be equal, and is not: {reference} and {prediction}")
                    dropped[kind] += 1
                    continue
            seen.add((reference, prediction))
            pairs.append({"kind": kind, "reference": reference, "prediction": prediction, "equivalent": truth})
            break
    return pairs, dropped


def branches(seed, count=200):
    """|p| with p and with -p, for polynomials that are above zero at one point and below it at another."""
    rng = random.Random(seed)
    maker = Maker(rng)
    pairs, done = [], set()
    while len(done) < count:
        p = maker.changing()
        u = p.form()
        key = (tuple(sorted(p.whole.items())), p.names)
        values = [real(u, at) for at in points(absolute(u), u, rng)]
        if key in done or not (min(values) < -tiny() and max(values) > tiny()):
            continue
        done.add(key)
        for branch in (p.form(), p.minus()):
            pairs.append((Writer(rng).text(absolute(u)), Writer(rng).text(branch)))
    return pairs


def long_pair():
    tail = "+".join(["x^{%d}" % k if k > 9 else f"x^{k}" for k in range(2, 112)])
    return r"\sqrt{x^2}+" + tail, "x+" + tail


# Asking the program.


def grade(binary, pairs):
    """(verdict, answer) of each (reference, prediction)."""
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "pairs.jsonl"
        lines = [json.dumps({"reference": r, "prediction": p}) + "\n" for r, p in pairs]
        file.write_text("".join(lines), encoding="utf-8")
        run = subprocess.run([binary, "grade", str(file)], capture_output=True, text=True, encoding="utf-8")
    if run.returncode:
        sys.exit(f"{binary} grade: exit code {run.returncode}\n{run.stderr.strip()}")
    rows = [json.loads(line) for line in run.stdout.splitlines()]
    if [(row["reference"], row["prediction"]) for row in rows] != list(pairs):
        sys.exit(f"{binary} grade: {len(rows)} lines for {len(pairs)} pairs, or others than were asked")
    for row in rows:
        verdict = row.get("verdict")
        if verdict not in ("same", "different", "unknown") or (verdict == "same") != row["equivalent"]:
            sys.exit(f"{binary} grade: no verdict, or one that does not fit `equivalent`: {json.dumps(row)}")
    return [(row["verdict"], row["answer"]) for row in rows]


def show(pair, verdict, answer):
    reading = "" if answer == pair["prediction"] else f"   (read as {answer})"
    print(f"  {pair['kind']}: {pair['reference']}   and   {pair['prediction']}   {verdict}{reading}")


def report(pairs, verdicts, listed):
    """Prints the table; true if all is well."""
    counts = collections.defaultdict(collections.Counter)
    for pair, (verdict, _) in zip(pairs, verdicts):
        for kind in (pair["kind"], f"{pair['kind'].split(':')[0]}: all", "all"):
            counts[kind][pair["equivalent"], verdict] += 1
    width = max(map(len, counts))
    columns = ("not equal", "same", "unknown", "different", "equal", "same", "unknown", "different", "accepted")
    print(f"{'kind':{width}}  " + "  ".join(f"{c:>9}" for c in columns))
    order = sorted(counts, key=lambda kind: (kind == "all", kind.split(":")[0], kind.endswith(": all"), kind))
    for kind in order:
        cells = []
        for truth in (False, True):
            row = [counts[kind][truth, verdict] for verdict in ("same", "unknown", "different")]
            cells += [sum(row), *row]
        share = f"{cells[5] / cells[4]:9.1%}" if cells[4] else f"{'-':>9}"
        print(f"{kind:{width}}  " + "  ".join(f"{c:>9}" for c in cells) + f"  {share}")

    rows = list(zip(pairs, verdicts))
    wrong = [row for row in rows if not row[0]["equivalent"] and row[1][0] == "same"]
    refused = [row for row in rows if row[0]["equivalent"] and row[1][0] != "same"]
    called = [row for row in refused if row[1][0] == "different"]
    negatives = sum(not pair["equivalent"] for pair in pairs)
    positives = len(pairs) - negatives
    share = 1 - len(refused) / positives if positives else 1.0
    print(f"\nnot equal, and accepted: {len(wrong)} of {negatives} (must be 0)")
    for pair, verdict in wrong:
        show(pair, *verdict)
    print(f"equal, and accepted: {positives - len(refused)} of {positives}, {share:.1%} (must be {SHARE:.0%} or more)")
    if listed:
        for pair, verdict in refused:
            show(pair, *verdict)
    print(f"equal, and called different: {len(called)}")
    if not listed:
        for pair, verdict in called[:20]:
            show(pair, *verdict)
    return not wrong and share >= SHARE


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", nargs="?", help="the program: `BINARY grade FILE` is run")
    parser.add_argument("--pairs", type=int, default=2000, metavar="N")
    parser.add_argument("--seed", type=int, default=1, metavar="S")
    parser.add_argument("--write", metavar="FILE", help="write the pairs with what is true of them, and stop")
    parser.add_argument("--list", action="store_true", help="print every pair that is refused and should not be")
    options = parser.parse_args()
    if not options.binary and not options.write:
        parser.error("the path of the program is missing")

    pairs, dropped = generate(options.pairs, options.seed)
    left_out = sum(dropped.values())
    print(f"{len(pairs)} pairs, seed {options.seed}; {left_out} others left out, where nothing was proved", file=sys.stderr)
    if options.write:
        lines = [json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs]
        pathlib.Path(options.write).write_text("".join(lines), encoding="utf-8")
        return 0

    binary = str(pathlib.Path(options.binary).resolve())
    good = report(pairs, grade(binary, [(pair["reference"], pair["prediction"]) for pair in pairs]), options.list)

    asked = branches(options.seed)
    verdicts = grade(binary, asked)
    accepted = [pair for pair, (verdict, _) in zip(asked, verdicts) if verdict == "same"]
    print("\n|p| and p, |p| and -p, for 200 polynomials that change sign: ", end="")
    print(f"{len(accepted)} of {len(asked)} accepted (must be 0)")
    for reference, prediction in accepted:
        print(f"  {reference}   and   {prediction}")
    ((verdict, _),) = grade(binary, [long_pair()])
    print(rf"\sqrt{{x^2}}+x^2+...+x^{{111}} and x+x^2+...+x^{{111}}: {verdict} (must not be same)")
    good = good and not accepted and verdict != "same"
    print("passed" if good else "failed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
