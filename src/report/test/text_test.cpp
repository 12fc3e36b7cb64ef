#include "text.hpp"

#include <string>

#include "table.hpp"
#include <gtest/gtest.h>

namespace perwatt::report {
namespace {

TEST(Significant, RoundsAndSeparatesThousands) {
  EXPECT_EQ(significant(0), "0");
  EXPECT_EQ(significant(19234567.0, 5), "19,235,000");
  EXPECT_EQ(significant(1234.5678, 6), "1,234.57");
  EXPECT_EQ(significant(-1234567.0, 4), "-1,235,000");
  EXPECT_EQ(significant(0.00123456, 3), "0.00123");
  EXPECT_EQ(significant(700.0), "700");
  EXPECT_EQ(significant(999.99, 3), "1,000");
}

TEST(Significant, UnitsHaveAPrefix) {
  EXPECT_EQ(power_text(megawatts(98.349), 3), "98.3 MW");
  EXPECT_EQ(power_text(watts(222)), "222 W");
  EXPECT_EQ(rate_text(tokens_per_second(19.24e6), 3), "19.2 M tok/s");
  EXPECT_EQ(rate_text(tokens_per_second(42)), "42 tok/s");
  EXPECT_EQ(percent_text(0.1234, 3), "12.3 %");
}

TEST(Escapes, HtmlLosesNoMeaningAndNoMarkupPasses) {
  EXPECT_EQ(html_escaped("<b a=\"1\" c='2'>&amp;\x01</b>"),
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;&lt;/b&gt;");
}

TEST(Escapes, NoTagEndsAScript) {
  EXPECT_EQ(script_escaped(R"({"a":"</script><!--"})"), "{\"a\":\"\\u003c/script>\\u003c!--\"}");
}

TEST(Escapes, MarkdownCellsStayOneCell) {
  EXPECT_EQ(markdown_escaped("a|b\n<i>*x*"), "a\\|b \\<i\\>\\*x\\*");
}

TEST(Escapes, OnlyWebAddressesAreLinks) {
  EXPECT_TRUE(is_web_address("https://example.org/a?b=c#d"));
  EXPECT_TRUE(is_web_address("http://example.org"));
  EXPECT_FALSE(is_web_address("javascript:alert(1)"));
  EXPECT_FALSE(is_web_address("https://example.org/\" onclick=\"x"));
  EXPECT_FALSE(is_web_address("https://example.org/a b"));
  EXPECT_FALSE(is_web_address("//example.org"));
  EXPECT_FALSE(is_web_address(""));
}

TEST(Escapes, SlugsAreSafeIds) {
  EXPECT_EQ(slug("Chat \"1\" <b>"), "chat-1-b");
  EXPECT_EQ(slug("--"), "x");
}

TEST(Table, BothRenderingsHoldEveryCell) {
  Table table{"t", "A & B", "note", {{"name"}, {"value W", Align::right}}, {}};
  table.add_heading("group <1>");
  table.add({Cell{"linked", "https://example.org/x"}, "1,200"}, "row-1");
  table.add({Cell{"not linked", "javascript:alert(1)"}, "3|4"});
  const auto html = to_html(table);
  EXPECT_NE(html.find("<h2>A &amp; B</h2>"), std::string::npos);
  EXPECT_NE(html.find("<th class=\"group\" colspan=\"2\">group &lt;1&gt;</th>"), std::string::npos);
  EXPECT_NE(html.find("<tr id=\"row-1\"><td><a href=\"https://example.org/x\""), std::string::npos);
  EXPECT_NE(html.find("<td>not linked</td><td class=\"number\">3|4</td>"), std::string::npos);
  EXPECT_EQ(to_markdown(table),
            "## A & B\n\nnote\n\n| name | value W |\n|---|---:|\n| **group \\<1\\>** ||\n"
            "| [linked](<https://example.org/x>) | 1,200 |\n| not linked | 3\\|4 |\n\n");
}

}  // namespace
}  // namespace perwatt::report
