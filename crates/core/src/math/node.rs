//! The tree that the parser builds: expressions, and the structures that answers are made of.

use super::number::BigRational;

/// A named function of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the mathematics")]
pub enum Function {
    Sin,
    Cos,
    Tan,
    Cot,
    Sec,
    Csc,
    Arcsin,
    Arccos,
    Arctan,
    Sinh,
    Cosh,
    Tanh,
    Ln,
    Exp,
    Abs,
    Sign,
    Floor,
    Ceil,
}

/// A function of several arguments whose order does not matter, save for `Mod`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are the mathematics")]
pub enum Operation {
    Max,
    Min,
    Gcd,
    Lcm,
    Mod,
}

/// A relation between two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the mathematics")]
pub enum Relation {
    Equal,
    Approximate,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
}

/// What encloses a sequence; the ends of an interval are part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// `a, b`: no brackets at all (or TeX braces, which are invisible).
    Bare,
    /// `\{a, b\}`
    Set,
    /// `(a, b)`: a point or an open interval.
    Round,
    /// `[a, b]`
    Square,
    /// `(a, b]`
    RoundSquare,
    /// `[a, b)`
    SquareRound,
}

/// An expression or a structure of expressions.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// An exact number.
    Number(BigRational),
    /// The circle constant.
    Pi,
    /// Euler's number.
    E,
    /// The imaginary unit.
    I,
    /// A variable with its subscript and primes; infinity is the variable `∞`.
    Variable(String),
    /// A sum.
    Sum(Vec<Node>),
    /// A product.
    Product(Vec<Node>),
    /// `-a`
    Negative(Box<Node>),
    /// `1/a`
    Inverse(Box<Node>),
    /// `a^b`
    Power(Box<Node>, Box<Node>),
    /// The n-th root (index, radicand): real for odd roots of negative numbers.
    Root(Box<Node>, Box<Node>),
    /// A known function.
    Call(Function, Box<Node>),
    /// A logarithm (base, argument); without a base it is *some* logarithm, equal to itself only.
    Log(Option<Box<Node>>, Box<Node>),
    /// An unknown function: name, arguments.
    Apply(String, Vec<Node>),
    /// `n!`
    Factorial(Box<Node>),
    /// `n` over `k`.
    Binomial(Box<Node>, Box<Node>),
    /// The largest of some values, their greatest common divisor, ...
    Many(Operation, Vec<Node>),
    /// A finite sum or product over an index.
    Repeated {
        /// The name of the index.
        index: String,
        /// Its first value.
        from: Box<Node>,
        /// Its last value.
        to: Box<Node>,
        /// What is added or multiplied.
        body: Box<Node>,
        /// Whether it is multiplied.
        is_product: bool,
    },
    /// A definite integral.
    Integral {
        /// The name of the variable.
        variable: String,
        /// The lower limit.
        from: Box<Node>,
        /// The upper limit.
        to: Box<Node>,
        /// The integrand.
        body: Box<Node>,
    },
    /// `a°` inside an expression, as in `\sin 30^\circ`.
    Degrees(Box<Node>),
    /// `a%` inside an expression.
    Percent(Box<Node>),
    /// `±a` (`false`) or `∓a` (`true`).
    PlusMinus(Box<Node>, bool),
    /// A list, tuple, interval or set.
    Sequence(Shape, Vec<Node>),
    /// Rows of cells.
    Matrix(Vec<Vec<Node>>),
    /// A union of sets.
    Union(Vec<Node>),
    /// An intersection of sets, or a set difference: the operator and its sides.
    SetOperation(char, Vec<Node>),
    /// `a = b < c`: one more side than relations.
    Chain(Vec<Node>, Vec<Relation>),
    /// Digits in a base: `52_8`.
    Based(String, u32),
    /// `a : b : c`
    Ratio(Vec<Node>),
    /// A quantity and its unit as written.
    Quantity(Box<Node>, String),
    /// A number with a bare letter behind it that is a unit too: `12 m`.
    UnitLetter {
        /// It as a product of variables.
        product: Box<Node>,
        /// The number.
        inner: Box<Node>,
        /// The unit as written.
        unit: String,
    },
    /// Words.
    Text(String),
    /// All real numbers.
    Reals,
}

impl Node {
    /// An integer.
    pub fn integer(value: i64) -> Node {
        Node::Number(BigRational::from_integer(value.into()))
    }

    /// Whether this is an integer literal.
    pub fn is_integer(&self) -> bool {
        matches!(self, Node::Number(value) if value.is_integer())
    }

    /// The direct children, in order.
    pub fn children(&self) -> Vec<&Node> {
        let mut children = Vec::new();
        self.each_child(&mut |child| children.push(child));
        children
    }

    /// Visits the direct children, in order.
    pub fn each_child<'a>(&'a self, visit: &mut dyn FnMut(&'a Node)) {
        self.any_child(&mut |child| {
            visit(child);
            false
        });
    }

    /// Whether `test` holds for a direct child; they are tried in order. No list of them is made, since most questions about
    /// a tree go over all of it.
    pub fn any_child<'a>(&'a self, test: &mut dyn FnMut(&'a Node) -> bool) -> bool {
        match self {
            Node::Number(_) | Node::Pi | Node::E | Node::I | Node::Variable(_) => false,
            Node::Based(..) | Node::Text(_) | Node::Reals => false,
            Node::Sum(items)
            | Node::Product(items)
            | Node::Apply(_, items)
            | Node::Sequence(_, items)
            | Node::Union(items)
            | Node::SetOperation(_, items)
            | Node::Chain(items, _)
            | Node::Many(_, items)
            | Node::Ratio(items) => items.iter().any(test),
            Node::Repeated { from, to, body, .. } | Node::Integral { from, to, body, .. } => {
                test(from) || test(to) || test(body)
            }
            Node::Matrix(rows) => rows.iter().flatten().any(test),
            Node::Power(a, b) | Node::Root(a, b) | Node::Binomial(a, b) => test(a) || test(b),
            Node::Log(base, argument) => base.as_deref().is_some_and(&mut *test) || test(argument),
            Node::Negative(a) | Node::Inverse(a) | Node::Call(_, a) | Node::Factorial(a) => test(a),
            Node::Degrees(a) | Node::Percent(a) | Node::PlusMinus(a, _) | Node::Quantity(a, _) => test(a),
            Node::UnitLetter { product, inner, .. } => test(product) || test(inner),
        }
    }

    /// The direct children, in the order of [`Node::children`].
    fn children_mut(&mut self) -> Vec<&mut Node> {
        match self {
            Node::Number(_) | Node::Pi | Node::E | Node::I | Node::Variable(_) => Vec::new(),
            Node::Based(..) | Node::Text(_) | Node::Reals => Vec::new(),
            Node::Sum(items) | Node::Product(items) | Node::Apply(_, items) | Node::Sequence(_, items) => {
                items.iter_mut().collect()
            }
            Node::Union(items)
            | Node::SetOperation(_, items)
            | Node::Chain(items, _)
            | Node::Many(_, items)
            | Node::Ratio(items) => items.iter_mut().collect(),
            Node::Repeated { from, to, body, .. } | Node::Integral { from, to, body, .. } => {
                vec![from, to, body]
            }
            Node::Matrix(rows) => rows.iter_mut().flatten().collect(),
            Node::Power(a, b) | Node::Root(a, b) | Node::Binomial(a, b) => vec![a, b],
            Node::Log(base, argument) => base.iter_mut().chain([argument]).map(|node| &mut **node).collect(),
            Node::Negative(a) | Node::Inverse(a) | Node::Call(_, a) | Node::Factorial(a) => vec![a],
            Node::Degrees(a) | Node::Percent(a) | Node::PlusMinus(a, _) | Node::Quantity(a, _) => vec![a],
            Node::UnitLetter { product, inner, .. } => vec![product, inner],
        }
    }

    /// The same node with each direct child replaced, in the order of [`Node::children`].
    pub fn map_children(mut self, map: &mut dyn FnMut(Node) -> Node) -> Node {
        for child in self.children_mut() {
            *child = map(std::mem::replace(child, Node::Reals));
        }
        self
    }

    /// Whether `test` holds for this node or one below it.
    pub fn any(&self, test: &dyn Fn(&Node) -> bool) -> bool {
        test(self) || self.any_child(&mut |child| child.any(test))
    }

    /// How many nodes there are, this one included.
    pub fn size(&self) -> u64 {
        let mut size = 1;
        self.each_child(&mut |child| size += child.size());
        size
    }

    /// Whether a variable (infinity is not one, nor is the index of a sum) or an unknown function occurs.
    pub fn has_variables(&self) -> bool {
        self.has_variable_but(&mut Vec::new())
    }

    fn has_variable_but<'a>(&'a self, bound: &mut Vec<&'a str>) -> bool {
        match self {
            Node::Variable(name) => name != "∞" && !bound.contains(&name.as_str()),
            Node::Apply(..) | Node::Log(None, _) => true,
            Node::Repeated { index: name, from, to, body, .. }
            | Node::Integral { variable: name, from, to, body } => {
                if from.has_variable_but(bound) || to.has_variable_but(bound) {
                    return true;
                }
                bound.push(name);
                let found = body.has_variable_but(bound);
                bound.pop();
                found
            }
            _ => self.any_child(&mut |child| child.has_variable_but(bound)),
        }
    }

    /// A text that is the same for equal trees alone: what the node is, its names with their lengths, and its children.
    /// (It could be printed for debugging, which would bring much code into the smallest wasm module.)
    pub fn key(&self) -> String {
        let mut key = String::new();
        self.write_key(&mut key);
        key
    }

    fn write_key(&self, key: &mut String) {
        let name = |name: &str| format!("{}:{name}", name.len());
        let (kind, own) = match self {
            Node::Number(value) => ('#', value.to_string()),
            Node::Pi => ('π', String::new()),
            Node::E => ('e', String::new()),
            Node::I => ('i', String::new()),
            Node::Variable(variable) => ('x', name(variable)),
            Node::Sum(_) => ('+', String::new()),
            Node::Product(_) => ('*', String::new()),
            Node::Negative(_) => ('-', String::new()),
            Node::Inverse(_) => ('/', String::new()),
            Node::Power(..) => ('^', String::new()),
            Node::Root(..) => ('√', String::new()),
            Node::Call(function, _) => ('f', format!("{function:?}")),
            Node::Log(..) => ('l', String::new()),
            Node::Apply(function, _) => ('a', name(function)),
            Node::Factorial(_) => ('!', String::new()),
            Node::Binomial(..) => ('C', String::new()),
            Node::Many(operation, _) => ('m', format!("{operation:?}")),
            Node::Repeated { index, is_product, .. } => (if *is_product { '∏' } else { '∑' }, name(index)),
            Node::Integral { variable, .. } => ('∫', name(variable)),
            Node::Degrees(_) => ('°', String::new()),
            Node::Percent(_) => ('%', String::new()),
            Node::PlusMinus(_, opposite) => (if *opposite { '∓' } else { '±' }, String::new()),
            Node::Sequence(shape, _) => ('s', format!("{shape:?}")),
            Node::Matrix(rows) => ('M', rows.iter().map(|row| format!("{},", row.len())).collect()),
            Node::Union(_) => ('∪', String::new()),
            Node::SetOperation(operator, _) => ('S', operator.to_string()),
            Node::Chain(_, relations) => {
                ('=', relations.iter().map(|relation| format!("{relation:?},")).collect())
            }
            Node::Based(digits, base) => ('b', format!("{digits}_{base}")),
            Node::Ratio(_) => (':', String::new()),
            Node::Quantity(_, unit) => ('q', name(unit)),
            Node::UnitLetter { unit, .. } => ('u', name(unit)),
            Node::Text(words) => ('t', name(words)),
            Node::Reals => ('R', String::new()),
        };
        key.push(kind);
        key.push_str(&own);
        key.push('(');
        for child in self.children() {
            child.write_key(key);
        }
        key.push(')');
    }

    /// The tree with a variable replaced.
    pub fn substituted(self, name: &str, value: &Node) -> Node {
        match self {
            Node::Variable(ref own) if own == name => value.clone(),
            Node::Repeated { ref index, .. } if index == name => self,
            Node::Integral { ref variable, .. } if variable == name => self,
            _ => self.map_children(&mut |child| child.substituted(name, value)),
        }
    }
}
