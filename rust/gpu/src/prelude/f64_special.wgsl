// Special functions of f64.
fn erf_f64(x: f64) -> f64 {
    if (isnan_f64(x)) { return x; }
    let a = abs_f64(x);
    if (a < 1.0lf) {
        let z = x * x;
        let p = (((((((((((((2.8067128195611264e-13lf * z - 6.1967364287877e-12lf) * z +
            9.323723518153027e-11lf) * z - 1.2277734486795524e-09lf) * z + 1.4806027146128752e-08lf) * z -
            1.636576864883207e-07lf) * z + 1.6462110782018636e-06lf) * z - 1.4925650236967501e-05lf) * z +
            0.00012055332978879483lf) * z - 0.0008548327023403001lf) * z + 0.005223977625441674lf) * z -
            0.026866170645131218lf) * z + 0.11283791670955126lf) * z - 0.37612638903183754lf) * z +
            1.1283791670955126lf;
        return x * p;
    }
    return copysign_f64(1.0lf - erfc_tail_f64(a), x);
}
// erfc of at least a half: exp(-x²) / (x + 1) times a polynomial in (x - 3) / (x + 3).
fn erfc_tail_f64(x: f64) -> f64 {
    let a = min(x, 27.3lf);
    let u = (a - 3.0lf) / (a + 3.0lf);
    let p = ((((((((((((((((((((-7.415144597362379e-09lf * u + 8.574627139470568e-09lf) * u +
        5.435277215581893e-08lf) * u - 3.9061391987077454e-08lf) * u - 2.9838540208140496e-07lf) * u +
        5.611245149350371e-08lf) * u + 1.592365988321826e-06lf) * u + 2.6232258571140676e-07lf) * u -
        8.991619218237542e-06lf) * u - 1.514741658473558e-06lf) * u + 5.6119785356214715e-05lf) * u -
        2.055156356319906e-05lf) * u - 0.0003672885464565819lf) * u + 0.0006458142004678851lf) * u +
        0.0016185691334781541lf) * u - 0.009750689292676284lf) * u + 0.02195776401232212lf) * u -
        0.023803913108670867lf) * u - 0.010235388898999843lf) * u + 0.09902075367944013lf) * u -
        0.23092733308380928lf) * u + 0.7160046047255598lf;
    let h = head_f64(a);
    let rest = expm1_reduced_f64(-(a - h) * (a + h));
    // Last, what may be subnormal.
    let e = (p / (a + 1.0lf)) * (1.0lf + rest);
    return e * exp_f64(-h * h);
}
fn erfc_f64(x: f64) -> f64 {
    if (isnan_f64(x)) { return x; }
    if (abs_f64(x) < 0.5lf) { return 1.0lf - erf_f64(x); }
    let t = erfc_tail_f64(abs_f64(x));
    return select(t, 2.0lf - t, x < 0.0lf);
}
// A rational start (Giles, 2012), and steps of Halley's by whichever of erf and erfc has the digits.
fn erfinv_f64(x: f64) -> f64 {
    let a = abs_f64(x);
    if (!(a < 1.0lf)) {
        if (a == 1.0lf) { return copysign_f64(inf_f64(), x); }
        return nan_f64();
    }
    if (a < 1e-9lf) { return 0.886226925452758lf * x; }
    let w = -log_f64((1.0lf - a) * (1.0lf + a));
    var p: f64;
    if (w < 5.0lf) {
        let t = w - 2.5lf;
        p = (((((((2.81022636e-08lf * t + 3.43273939e-07lf) * t - 3.5233877e-06lf) * t - 4.39150654e-06lf)
            * t + 0.00021858087lf) * t - 0.00125372503lf) * t - 0.00417768164lf) * t + 0.246640727lf) * t
            + 1.50140941lf;
    } else {
        let t = sqrt(w) - 3.0lf;
        p = (((((((-0.000200214257lf * t + 0.000100950558lf) * t + 0.00134934322lf) * t - 0.00367342844lf)
            * t + 0.00573950773lf) * t - 0.0076224613lf) * t + 0.00943887047lf) * t + 1.00167406lf) * t +
            2.83297682lf;
    }
    var y = p * a;
    for (var k = 0u; k < 2u; k++) {
        var off: f64;
        if (a < 0.75lf) {
            off = erf_f64(y) - a;
        } else {
            off = (1.0lf - a) - erfc_tail_f64(y);
        }
        let step = off * 0.886226925452758lf * exp_f64(y * y);
        y = y - step / (1.0lf + y * step);
    }
    return copysign_f64(y, x);
}
// log Γ(x) by x - 1 where that is small, or by x - 2: exact zeros at both.
fn lgamma_near_1_f64(z: f64) -> f64 {
    let p = ((((((((((((((((((((((((0.004056606504684639lf * z - 0.01741301507631758lf) * z +
        0.03505313982753748lf) * z - 0.04606248743902781lf) * z + 0.048453645991011325lf) * z -
        0.04834772259451038lf) * z + 0.0497603597432108lf) * z - 0.05247204501762188lf) * z +
        0.05554674191403331lf) * z - 0.05883663933528567lf) * z + 0.06250350551421083lf) * z -
        0.06666823645464418lf) * z + 0.07143276797779458lf) * z - 0.07693252147989828lf) * z +
        0.08335384711525397lf) * z - 0.09095401736441237lf) * z + 0.10009945737137095lf) * z -
        0.1113342658606082lf) * z + 0.12550966952652304lf) * z - 0.1440498967689803lf) * z +
        0.16955717699739586lf) * z - 0.2073855510286731lf) * z + 0.2705808084277846lf) * z -
        0.40068563438653143lf) * z + 0.8224670334241132lf) * z - 0.5772156649015329lf;
    return select(z * p, 0.0lf, z == 0.0lf);
}
fn lgamma_near_2_f64(z: f64) -> f64 {
    let p = ((((((((((((((((((((1.4963573191192003e-08lf * z - 3.1314285360886705e-08lf) * z +
        4.509983567521808e-08lf) * z - 9.501416425423385e-08lf) * z + 2.129692727315228e-07lf) * z -
        4.511181191016309e-07lf) * z + 9.549510392959532e-07lf) * z - 2.0388192484564222e-06lf) * z +
        4.374892520636031e-06lf) * z - 9.439541921024715e-06lf) * z + 2.05072105479096e-05lf) * z -
        4.492623209360517e-05lf) * z + 9.945751290176889e-05lf) * z - 0.00022315475870367355lf) * z +
        0.0005096695247392805lf) * z - 0.0011927539116954181lf) * z + 0.0028905103307415836lf) * z -
        0.0073855510286741114lf) * z + 0.020580808427784546lf) * z - 0.06735230105319809lf) * z +
        0.3224670334241132lf) * z + 0.42278433509846713lf;
    return z * p;
}
fn lgamma_positive_f64(x: f64) -> f64 {
    if (x < 0.75lf) {
        if (x < 0.5lf) { return lgamma_near_1_f64(x) - log_f64(x); }
        return lgamma_near_2_f64(x - 1.0lf) - log_f64(x);
    }
    if (x < 1.5lf) { return lgamma_near_1_f64(x - 1.0lf); }
    if (x < 16.0lf) {
        var t = x;
        var product = 1.0lf;
        while (t >= 2.5lf) {
            t -= 1.0lf;
            product = product * t;
        }
        return lgamma_near_2_f64(t - 2.0lf) + log_f64(product);
    }
    let r = 1.0lf / x;
    let z = r * r;
    let tail = ((((((0.00641025641025641lf * z - 0.0019175269175269176lf) * z + 0.0008417508417508417lf) * z -
        0.0005952380952380953lf) * z + 0.0007936507936507937lf) * z - 0.002777777777777778lf) * z +
        0.08333333333333333lf) * r;
    return (x - 0.5lf) * (log_f64(x) - 1.0lf) + (0.4189385332046727lf + tail);
}
fn sin_turn_f64(r: f64) -> f64 { return sin_f64(3.141592653589793lf * r); }
fn lgamma_f64(x: f64) -> f64 {
    if (isnan_f64(x)) { return x; }
    if (isinf_f64(x)) { return inf_f64(); }
    let a = abs_f64(x);
    if (a < 1e-16lf) { return -log_f64(a); }
    if (x > 0.0lf) { return lgamma_positive_f64(x); }
    let r = x - round(x);
    if (r == 0.0lf) { return inf_f64(); }
    // Γ(x) Γ(-x) = -π / (x sin πx)
    return log_f64(3.141592653589793lf / (a * abs_f64(sin_turn_f64(r)))) - lgamma_positive_f64(a);
}
// Digamma between 1 and 2, by the distance from 1.5 and from its zero.
fn digamma_near_f64(z: f64, from_zero: f64) -> f64 {
    let p = ((((((((((((((((((((((-8.153978973309418e-05lf * z + 0.00012230983055406747lf) * z -
        6.11554261750751e-05lf) * z + 9.173383289174792e-05lf) * z - 0.0002178682145501451lf) * z +
        0.0003268068044141764lf) * z - 0.0004599625144612576lf) * z + 0.0006899717801166841lf) * z -
        0.001042261556504223lf) * z + 0.0015635679757533885lf) * z - 0.002344650082351321lf) * z +
        0.0035180800751066694lf) * z - 0.00528001782089874lf) * z + 0.007927024067961237lf) * z -
        0.011908215172584002lf) * z + 0.017907248195969127lf) * z - 0.02697579684427536lf) * z +
        0.04076083394462657lf) * z - 0.06192213327165706lf) * z + 0.09498872445283lf) * z -
        0.14840492305391761lf) * z + 0.24054248424078736lf) * z - 0.42362742128146047lf) * z +
        0.9510558760318328lf;
    return from_zero * p;
}
fn digamma_positive_f64(x: f64) -> f64 {
    if (x < 1.0lf) {
        return digamma_near_f64(x - 0.5lf, x - 0.4616321449683622lf - 9.549995429965697e-17lf) - 1.0lf / x;
    }
    if (x < 10.0lf) {
        var t = x;
        var sum = 0.0lf;
        while (t >= 2.0lf) {
            t -= 1.0lf;
            sum += 1.0lf / t;
        }
        return sum + digamma_near_f64(t - 1.5lf, (t - 1.4616321449683622lf) - 9.549995429965697e-17lf);
    }
    let r = 1.0lf / x;
    let z = r * r;
    let tail = ((((((0.08333333333333333lf * z - 0.021092796092796094lf) * z + 0.007575757575757576lf) * z -
        0.004166666666666667lf) * z + 0.003968253968253968lf) * z - 0.008333333333333333lf) * z +
        0.08333333333333333lf) * z;
    return log_f64(x) - (0.5lf * r + tail);
}
fn digamma_f64(x: f64) -> f64 {
    if (isnan_f64(x)) { return x; }
    if (magnitude_f64(x) == 0lu) { return copysign_f64(inf_f64(), -x); }
    if (x > 0.0lf) { return digamma_positive_f64(x); }
    // The fraction alone, because sin and cos of large multiples of π are noise.
    let r = x - round(x);
    if (r == 0.0lf || isneginf_f64(x)) { return nan_f64(); }
    return digamma_positive_f64(1.0lf - x) - 3.141592653589793lf / tan_f64(3.141592653589793lf * r);
}
// n! / x^(n + 1)
fn polygamma_term_f64(n: f64, x: f64) -> f64 {
    let r = 1.0lf / x;
    var t = r;
    for (var j = 1.0lf; j <= n; j += 1.0lf) { t = t * (j * r); }
    return t;
}
// n! Σ (x + k)^-(n + 1), the first terms as they stand, the rest by Euler and Maclaurin.
fn polygamma_sum_f64(n: f64, x: f64) -> f64 {
    if (isnan_f64(x) || isneginf_f64(x)) { return nan_f64(); }
    if (x <= 0.0lf && x == floor(x)) { return inf_f64(); }
    if (isposinf_f64(x)) { return 0.0lf; }
    // What is far below zero is nothing beside what is near.
    var q = max(x, x - floor(x) - 1000.0lf);
    var sum = 0.0lf;
    while (q < 12.0lf) {
        sum += polygamma_term_f64(n, q);
        q += 1.0lf;
    }
    let t = polygamma_term_f64(n, q);
    let r = 1.0lf / q;
    let z = r * r;
    let s = n + 1.0lf;
    // B₂ₖ / (2k)!, the last first, each with the two next factors of s (s + 1) (s + 2) …
    var tail = -3617.0lf / 10670622842880000.0lf;
    tail = 1.0lf / 74724249600.0lf + tail * (s + 13.0lf) * (s + 14.0lf) * z;
    tail = -691.0lf / 1307674368000.0lf + tail * (s + 11.0lf) * (s + 12.0lf) * z;
    tail = 1.0lf / 47900160.0lf + tail * (s + 9.0lf) * (s + 10.0lf) * z;
    tail = -1.0lf / 1209600.0lf + tail * (s + 7.0lf) * (s + 8.0lf) * z;
    tail = 1.0lf / 30240.0lf + tail * (s + 5.0lf) * (s + 6.0lf) * z;
    tail = -1.0lf / 720.0lf + tail * (s + 3.0lf) * (s + 4.0lf) * z;
    tail = 1.0lf / 12.0lf + tail * (s + 1.0lf) * (s + 2.0lf) * z;
    return sum + t * (q / n + 0.5lf + s * r * tail);
}
fn polygamma_f64(n: f64, x: f64) -> f64 {
    // Halves away from zero.
    let order = copysign_f64(floor(abs_f64(n) + 0.5lf), n);
    if (order == 0.0lf) { return digamma_f64(x); }
    if (!(order > 0.0lf)) { return nan_f64(); }
    if (order == 1.0lf && x < 0.5lf) {
        let s = sin_turn_f64(x - round(x));
        return 9.869604401089358lf / (s * s) - polygamma_sum_f64(1.0lf, 1.0lf - x);
    }
    if (order > 170.0lf) {
        // Beyond what f64 holds of n!, as on the CPU.
        let gone = !isfinite_f64(order) || isnan_f64(x) || isinf_f64(x) || (order + 1.0lf) *
            log2_f64(max(x, 0.5lf)) > 1075.0lf;
        if (gone) { return nan_f64(); }
        return select(inf_f64(), -inf_f64(), fmod_f64(order, 2.0lf) == 0.0lf);
    }
    let y = polygamma_sum_f64(order, x);
    return select(y, -y, fmod_f64(order, 2.0lf) == 0.0lf);
}
