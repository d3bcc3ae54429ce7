//! What is read in texts, tier by tier.

use super::*;

/// `Tier:answer`, or `none:reason`.
fn shown(text: &str, truncated: bool) -> String {
    match read(text, truncated) {
        Reading { answer: Some(answer), found_by: Some(tier), no_answer: None } => {
            format!("{tier:?}:{answer}")
        }
        Reading { answer: None, found_by: None, no_answer: Some(reason) } => {
            format!("none:{}", reason.name())
        }
        other => panic!("neither an answer nor a reason: {other:?}"),
    }
}

fn check(cases: &[(&str, &str)]) {
    check_all(cases, false);
}

fn check_truncated(cases: &[(&str, &str)]) {
    check_all(cases, true);
}

/// All that differ at once.
fn check_all(cases: &[(&str, &str)], truncated: bool) {
    let differs = |(text, expected): &(&str, &str)| {
        let found = shown(text, truncated);
        (found != *expected).then(|| format!("{text:?}: {found:?}, expected {expected:?}"))
    };
    let wrong: Vec<String> = cases.iter().filter_map(differs).collect();
    assert!(wrong.is_empty(), "truncated: {truncated}\n{}", wrong.join("\n"));
}

#[test]
fn answer_tags() {
    check(&[
        ("<answer>42</answer>", "AnswerTag:42"),
        ("\\boxed{1} <Answer > x < 3 & y > 2 </ANSWER>", "AnswerTag:x < 3 & y > 2"),
        ("<answer>1</answer> no: <answer>2</answer>", "AnswerTag:2"),
        ("<answer>7</answer> <answer></answer> <answer>...</answer>", "AnswerTag:7"),
        ("<answer>so \\boxed{\\frac{1}{2}}</answer>", "AnswerTag:\\frac{1}{2}"),
        ("<answer>$(1, 2)$</answer>", "AnswerTag:(1, 2)"),
        ("<answer>12", "AnswerTag:12"),
        ("<think>the answer is 3 <answer>3</answer></think><answer>4</answer>", "AnswerTag:4"),
        ("<think>The answer is 5.</think>\n", "none:empty"),
        ("<think>The answer is 5.</think>\nAs worked out above.", "Line:5"),
        ("<answer>I added all of them up and then found\nThe answer is 9.</answer>", "AnswerTag:9"),
    ]);
    check_truncated(&[("<answer>12", "none:truncated"), ("<answer>12</answer> and then", "AnswerTag:12")]);
}

#[test]
fn boxes() {
    check(&[
        ("\\boxed{\\frac{1}{\\sqrt{2}}}.", "Boxed:\\frac{1}{\\sqrt{2}}"),
        ("first \\boxed{1}, then \\boxed{2} is 3", "Boxed:2"),
        ("\\boxed{\\boxed{5}}", "Boxed:5"),
        ("\\boxed{3} and \\boxed{5}", "Boxed:3, 5"),
        ("\\boxed{\\text{Adam loses \\$16.}}", "Boxed:$16"),
        ("\\boxed{\\text{no solution}}", "Boxed:\\text{no solution}"),
        ("\\boxed{3} + 2 = \\boxed{5}", "Boxed:5"),
        ("\\fbox{7}", "Boxed:7"),
        ("$\\boxed 5$", "Boxed:5"),
        ("\\boxed {6}", "Boxed:6"),
        ("\\boxed{3} and \\boxed{}", "Boxed:3"),
        ("\u{8}oxed{\u{c}rac{1}{2}}", "Boxed:\\frac{1}{2}"),
        ("\\boxed{\\left\\{ 1, 2 \\right\\}}", "Boxed:\\left\\{ 1, 2 \\right\\}"),
        ("the answer is $\\boxed{12", "none:truncated"),
        ("\\boxed{4} but then \\boxed{12", "Boxed:4"),
        ("\\boxed{1}, \\boxed{2} and $\\boxed{3}$.", "Boxed:1, 2, 3"),
        ("\\boxed{1} and \\boxed{1}", "Boxed:1"),
        ("\\boxed{1} is wrong. \\boxed{2}", "Boxed:2"),
        ("The answer is \\$5. \\boxed{}", "Line:\\$5"),
        ("P = \\boxed{0.151}$. The answer is (H).", "Line:H"),
        ("\\boxed{B}. The answer is (H).", "Boxed:B"),
        ("\\boxed{7}. The answer is 8.", "Boxed:7"),
    ]);
    check_truncated(&[("\\boxed{12", "none:truncated"), ("\\boxed{4} so \\boxed{12", "Boxed:4")]);
}

#[test]
fn json_fields() {
    check(&[
        (r#"{"reasoning": "2+2", "answer": "4"}"#, "Json:4"),
        (
            r#"```json
{"reasoning": "raw
newline", "answer": 3.5
}
```"#,
            "Json:3.5",
        ),
        (r#"{"answer": "\frac{1}{2}"}"#, r"Json:\frac{1}{2}"),
        (r#"{"answer": "\\frac{1}{2}"}"#, r"Json:\frac{1}{2}"),
        (r#"{'answer': '18'}"#, "Json:18"),
        (r#"{"answer": "a "quoted" word"}"#, "Json:a \"quoted\" word"),
        (r#"{"answer": "5", "answer": "6"}"#, "Json:6"),
        (r#"{"answer": null} The answer is 8."#, "Phrase:8"),
        (r#"{"answer": 1,234}"#, "Json:1,234"),
        (r#"{"answer": ["1", "2"]}"#, r#"Json:["1", "2"]"#),
        (r#"{"reasoning": "we get \boxed{3}", "answer": "3 m"}"#, "Json:3 m"),
        (r#"{"answer": "4"} Now in a box: \boxed{5}"#, "Boxed:5"),
        (r#"{"Final_Answer": "10"#, "Json:10"),
        (r#"{"answer": "Sally has 9 books."}"#, "Json:9"),
        (r#"{"answer": "He has 9 of 12 books"}"#, "Json:He has 9 of 12 books"),
        (r#"{"answer": "9 books"}"#, "Json:9 books"),
        (
            r#"{"answer": "The goats cost 3 * $500 = $1500. The cows cost $3000. So all of them cost $1500 + $3000 = $4500."}"#,
            "Json:$4500",
        ),
        (r#"{"answer": "220""}"#, "Json:220"),
        (r#"{"answer": "43 (Dad's age) + 7 (his brother's) = 50"}"#, "Json:50"),
        (r#"{"answer": "200 bags * $5/bag = $1000"}"#, "Json:$1000"),
        (r#"{"answer": "3x + 2y = 12"}"#, "Json:3x + 2y = 12"),
        (r#"{"answer": "y = 2 cos x"}"#, "Json:y = 2 cos x"),
    ]);
    check_truncated(&[
        (r#"{"answer": "12"#, "none:truncated"),
        (r#"{"answer": 12"#, "none:truncated"),
        (r#"{"answer": "12"}"#, "Json:12"),
    ]);
}

#[test]
fn phrases() {
    check(&[
        ("so 5 + 13 = 18\n#### 18", "Line:18"),
        ("2 + 2\nA: 18", "Line:18"),
        ("155*77=11935;36*50=1800;11935+95=12030;12030-1800=10230;#10230", "Phrase:10230"),
        ("95-1800=-1705;#-1705\n", "Phrase:-1705"),
        ("2*3=6; #6", "Phrase:6"),
        ("The answer is 6; it is in box #7", "Line:6"),
        ("It is 6, as in problem #7", "Last:7"),
        ("2*3=6;#6 or so", "none:hedge"),
        ("The answer is (C).", "Line:C"),
        ("The answer is C", "Line:C"),
        ("The answer is (A).\n\nThe answer is (H).", "Line:H"),
        ("The answer is (A).\n\nThe answer is (H).\n\nThe answer is (C).\n", "Line:A"),
        (
            "so the answer is (J).\n\nAll of them:\nThe answer is A.\nThe answer is H.\nThe answer is C.",
            "Line:J",
        ),
        ("It is 4.\nThe answer is (D).\nThe answer is (D).", "Line:D"),
        ("Therefore, the final answer is $\\frac{3}{4}$.", "Line:\\frac{3}{4}"),
        ("**Answer:** 12 cm", "Line:12 cm"),
        ("**Final Answer**\n\n17", "Line:17"),
        ("The answer to the question is 1,234. It was easy with 5.", "Line:1,234"),
        ("the answer is 42 because 6 * 7 = 42", "Line:42"),
        ("The final answer is:\n\\[ x = 5 \\]", "Line:x = 5"),
        ("The answer is A total of 5 of them", "Line:A total of 5 of them"),
        ("Answer: B) twelve", "Line:B"),
        ("The correct answer is option (C), as shown.", "Line:C"),
        ("The answer is approximately 3.14.", "Line:3.14"),
        ("The answer is that Sally has 9 books.", "Line:9"),
        ("The answer is certainly not 9 books.", "none:hedge"),
        ("So the answer is \\( x = 3 \\) or \\( x = -2 \\).", "Line:\\( x = 3 \\) or \\( x = -2 \\)"),
    ]);
    check_truncated(&[
        ("The answer is 1", "none:truncated"),
        ("2*9=18;#1", "none:truncated"),
        ("The answer is 12.\nLet me check", "Line:12"),
    ]);
}

#[test]
fn last_values() {
    check(&[
        ("12", "Whole:12"),
        ("\\frac{1}{2}", "Whole:\\frac{1}{2}"),
        ("x = 5", "Whole:x = 5"),
        ("(C)", "Whole:C"),
        ("It is 3 + 4 = 7 apples", "Last:7"),
        ("He pays $1,250.50 in total.", "Last:$1,250.50"),
        ("We get $x = \\frac{1}{2}$ here", "Last:\\frac{1}{2}"),
        (
            "Both hold: \\[ r = 4 \\text{ or } r = \\frac{7}{2}. \\]",
            "Last:r = 4 \\text{ or } r = \\frac{7}{2}",
        ),
        ("We get $x = \\frac{1}{2}$ and call it $x$.", "Last:\\frac{1}{2}"),
        ("so I pick **D**", "Last:D"),
        ("P(A) = (1/2) / (3/4) P(A) = 2/3 Therefore, the probability that Alice wins is 2/3.", "Last:2/3"),
        ("so the number is 10 which is 1,000.99m²", "Last:1,000.99m²"),
        ("not 10, it's 12", "Last:12"),
        ("There is nothing in this text that would be a value at all", "none:not_found"),
        ("no solution", "Whole:no solution"),
        ("", "none:empty"),
        ("  \n ", "none:empty"),
        ("...", "none:placeholder"),
    ]);
    check_truncated(&[("It is 3 + 4 = 7 apples", "none:truncated"), ("12", "none:truncated")]);
}

#[test]
fn end_tokens_are_no_text() {
    check(&[("The answer is 4</s></s></s>", "Line:4"), ("5<|im_end|>\n", "Whole:5")]);
}
